// Where frames lie on a stream: u32 little-endian length, then as many bytes (src/wire/frames.ts).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tls {

constexpr std::size_t frameHeaderBytes = 4;
// What follows in a request and its answer: u8 kind, u32 id (src/cluster/command-frames.ts).
constexpr std::size_t kindAt = frameHeaderBytes;
constexpr std::size_t idAt = kindAt + 1;
constexpr std::size_t headBytes = idAt + 4;
// In front of data, a signature and an output.
constexpr std::size_t lengthBytes = 4;

class Frames {
 public:
  // How long the frame is that begins here, with its header; 0 where it does not begin here, or is not whole.
  std::size_t whole(const std::uint8_t* bytes, std::size_t length) const {
    if (headerBytes_ > 0 || left_ > 0 || length < frameHeaderBytes) return 0;
    const std::size_t behind = lengthIn(bytes);
    return behind <= length - frameHeaderBytes ? frameHeaderBytes + behind : 0;
  }

  // Goes on to the end of a frame, if it is here: by so many bytes.
  std::size_t pass(const std::uint8_t* bytes, std::size_t length) {
    std::size_t passed = 0;
    for (; left_ == 0 && passed < length; passed++) {
      header_[headerBytes_++] = bytes[passed];
      if (headerBytes_ < frameHeaderBytes) continue;
      headerBytes_ = 0;
      left_ = lengthIn(header_);
      if (left_ == 0) return passed + 1;
    }
    const std::size_t part = std::min(left_, length - passed);
    left_ -= part;
    return passed + part;
  }

 private:
  static std::size_t lengthIn(const std::uint8_t* header) {
    return header[0] | static_cast<std::size_t>(header[1]) << 8 | static_cast<std::size_t>(header[2]) << 16 |
           static_cast<std::size_t>(header[3]) << 24;
  }

  std::uint8_t header_[frameHeaderBytes] = {};
  std::size_t headerBytes_ = 0;  // of a header that is not whole
  std::size_t left_ = 0;         // of a frame that is not whole
};

}  // namespace tls
