#include "group.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "offer.h"

namespace transport {

namespace {

// Through a volatile pointer memset stays, also where nothing reads the bytes any more.
void* (*const volatile overwrite)(void*, int, size_t) = std::memset;

constexpr size_t MOST_EXPECTED_BYTES = 2 * 1024 * 1024;

}  // namespace

void cleanse(std::vector<uint8_t>& bytes) {
  if (!bytes.empty()) overwrite(bytes.data(), 0, bytes.size());
}

void Frame::clear() {
  cleanse(bytes_);
  bytes_ = {};
}

void Frame::expect(size_t length) { bytes_.reserve(std::min(length, MOST_EXPECTED_BYTES)); }

void Frame::append(const uint8_t* bytes, size_t length) {
  if (bytes_.capacity() - bytes_.size() < length) {
    // Grown by hand: the vector would leave a copy behind in freed memory.
    std::vector<uint8_t> larger;
    larger.reserve(std::max(bytes_.size() + length, bytes_.capacity() * 2));
    larger.assign(bytes_.begin(), bytes_.end());
    clear();
    bytes_ = std::move(larger);
  }
  bytes_.insert(bytes_.end(), bytes, bytes + length);
}

void Frame::cut(size_t length) {
  overwrite(bytes_.data() + length, 0, bytes_.size() - length);
  bytes_.resize(length);
}

Group::~Group() { munmap(memory_, GROUP_BYTES); }

Found Group::take(unsigned index, size_t frameBytes, uint8_t* inbox, size_t* length) {
  Channel& channel = channels_[index];
  const uint32_t turn = shared_read(&shared(index)->module.turn);
  if (turn == heard_[index]) return Found::Nothing;
  if (channel.state == State::Working || turn != channel.turn + 1) return Found::Fault;
  heard_[index] = turn;
  if (channel.state == State::Sending) {
    sendPart(index, channel.frame.data());
    return Found::Part;
  }
  try {
    return receive(index, frameBytes, inbox, length);
  } catch (const std::bad_alloc&) {
    heard_[index]--;
    throw;
  }
}

Found Group::receive(unsigned index, size_t frameBytes, uint8_t* inbox, size_t* length) {
  Channel& channel = channels_[index];
  const shared_channel* from = shared(index);
  if (channel.done == 0) {
    channel.length = shared_read(&from->module.length);
    if (channel.length > frameBytes) {
      // Whoever looks next finds it as well.
      heard_[index]--;
      return Found::Fault;
    }
  }
  const size_t part = shared_part(channel.length, channel.done);
  const bool whole = part == channel.length;
  if (whole) {
    std::memcpy(inbox, from->data, part);
  } else {
    if (channel.done == 0) channel.frame.expect(channel.length);
    channel.frame.append(from->data, part);
  }
  channel.done += part;
  if (channel.done < channel.length) {
    endTurn(index, State::Receiving);
    return Found::Part;
  }
  channel.state = State::Working;
  channel.done = 0;
  *length = channel.length;
  return Found::Request;
}

void Group::putBack(unsigned index) {
  Channel& channel = channels_[index];
  channel.state = State::Receiving;
  heard_[index]--;
  if (channel.length <= CHANNEL_DATA_BYTES) return;
  channel.done = (channel.length - 1) / CHANNEL_DATA_BYTES * CHANNEL_DATA_BYTES;
  channel.frame.cut(channel.done);
}

bool Group::answer(unsigned index, const uint8_t* bytes, size_t length) {
  Channel& channel = channels_[index];
  if (channel.state != State::Working) return false;
  channel.length = length;
  channel.done = 0;
  shared_prepare(&shared(index)->engine.length, static_cast<uint32_t>(length));
  if (length > CHANNEL_DATA_BYTES) channel.frame.append(bytes, length);
  sendPart(index, bytes);
  return true;
}

void Group::sendPart(unsigned index, const uint8_t* frame) {
  Channel& channel = channels_[index];
  const size_t part = shared_part(channel.length, channel.done);
  if (part > 0) std::memcpy(shared(index)->data, frame + channel.done, part);
  channel.done += part;
  const bool isLast = channel.done == channel.length;
  if (isLast) {
    channel.done = 0;
    if (channel.length > CHANNEL_DATA_BYTES) channel.frame.clear();
  }
  endTurn(index, isLast ? State::Receiving : State::Sending);
}

void Group::endTurn(unsigned index, State next) {
  shared_channel* to = shared(index);
  Channel& channel = channels_[index];
  const uint32_t turn = ++channel.turn;
  channel.state = next;
  // Before the turn: what the module does next may be seen by the event loop first.
  if (isLent(index) && !channel.isWatched) lent_.fetch_and(~(1U << index));
  shared_write(&to->engine.turn, turn);
  if (shared_read(&to->waiting) != 0) wakeSleeper(&to->engine.turn);
}

void Group::watch(unsigned index, bool isWatched) {
  if (channels_[index].isWatched == isWatched) return;
  channels_[index].isWatched = isWatched;
  shared_write(&shared(index)->watched, isWatched ? SHARED_WATCHED : SHARED_UNWATCHED);
}

void Group::sleep(unsigned index, uint64_t mostNs, const std::function<bool()>& mayStillSleep) {
  shared_channel* channel = shared(index);
  // In this order, and the other way round where somebody rings: one of the two sees what the other one has written.
  shared_write(&channel->bell, 0);
  shared_write(&channel->watched, SHARED_WATCHED_ASLEEP);
  if (!isAsked(index) && mayStillSleep()) sleepOn(&channel->bell, 0, mostNs);
  shared_write(&channel->watched, SHARED_WATCHED);
}

void Group::ring(unsigned index) {
  shared_write(&shared(index)->bell, 1);
  wakeSleeper(&shared(index)->bell);
}

bool Group::giveBack(unsigned index) {
  const uint32_t next = channels_[index].turn + 1;
  // In this order: once it is the event loop's it may be lent, and watched, again.
  watch(index, false);
  lent_.fetch_and(~(1U << index));
  return shared_read(&shared(index)->module.turn) == next;
}

bool Group::fallAsleep() {
  shared_write(&header()->asleep, 1);
  for (unsigned i = 0; i < GROUP_CHANNELS; i++) {
    if (!stirs(i)) continue;
    wakeUp();
    return true;
  }
  reach_ = 0;
  return false;
}

void Group::wakeUp() { shared_write(&header()->asleep, 0); }

}  // namespace transport
