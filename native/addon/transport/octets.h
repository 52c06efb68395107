// Requests and answers as src/wire/codec.ts has them: little-endian, without padding.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace transport {

using Octets = std::vector<std::uint8_t>;

// A copy of a Buffer's bytes.
inline Octets octetsOf(const Napi::Value& value) {
  const auto buffer = value.As<Napi::Buffer<std::uint8_t>>();
  return Octets(buffer.Data(), buffer.Data() + buffer.Length());
}

constexpr std::size_t headBytes = 2 + 8;  // call, session

template <typename T>
T read(const std::uint8_t* from) {
  T value = 0;
  for (std::size_t i = sizeof value; i-- > 0;) value = static_cast<T>(value << 8 | from[i]);
  return value;
}

template <typename T>
std::uint8_t* write(std::uint8_t* to, T value) {
  for (std::size_t i = 0; i < sizeof value; i++) *to++ = static_cast<std::uint8_t>(value >> (8 * i));
  return to;
}

}  // namespace transport
