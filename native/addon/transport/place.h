// A session of an application, by which maps find what is kept of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace transport {

struct Place {
  std::uint32_t owner;
  std::uint64_t session;
  bool operator==(const Place& other) const { return owner == other.owner && session == other.session; }
};

struct HashOfPlace {
  std::size_t operator()(const Place& place) const {
    return static_cast<std::size_t>(place.session * 31 + place.owner);
  }
};

}  // namespace transport
