// What the operating system has to do with shared memory: making it, passing it on, waking who waits in it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace transport {

// GROUP_BYTES of new memory that nobody can make smaller, and its descriptor; nullptr where there is none.
uint8_t* shareableMemory(int* descriptor);

// Sends bytes and a descriptor on a Unix socket, all at once and without waiting; false if that cannot be done.
bool sendWithDescriptor(int socket, const uint8_t* bytes, size_t length, int descriptor);

// Wakes the module that sleeps on a word of shared memory.
void wakeModule(uint32_t* word);

}  // namespace transport
