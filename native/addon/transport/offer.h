// What the operating system has to do with shared memory: making it, passing it on, waking who waits in it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace transport {

// GROUP_BYTES of new memory that nobody can make smaller, and its descriptor; nullptr where there is none.
uint8_t* shareableMemory(int* descriptor);

// Sends bytes and a descriptor on a Unix socket, all at once and without waiting; false if that cannot be done.
bool sendWithDescriptor(int socket, const uint8_t* bytes, size_t length, int descriptor);

// Wakes who sleeps on a word of shared memory.
void wakeSleeper(uint32_t* word);

// Sleeps on a word of shared memory while it has this value, and no longer than that. May wake up for no reason.
void sleepOn(uint32_t* word, uint32_t value, uint64_t mostNs);

}  // namespace transport
