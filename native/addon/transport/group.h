// One group of channels in memory shared with a module, from the engine's side. Knows no JavaScript. The other
// side is not trusted: what it may change meanwhile is read once, and all state that matters is in here. It is the event
// loop's, but for channels that are lent to another thread:
//
//                     lend                          giveBack, or an answer that nobody keeps the channel after
//   event loop  ---------------->  other thread  ------------------------------------------------------------>  event loop
//                                    |      ^   answers; takes what comes next, while the module knows that it is watched
//                                    +------+
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "../../shared/channel-layout.h"

namespace transport {

void cleanse(std::vector<uint8_t>& bytes);

// Overwrites its bytes when it is emptied or destroyed: frames hold PINs and keys.
class Frame {
 public:
  ~Frame() { clear(); }
  void clear();
  // Makes room for what is announced, as far as that costs nothing should it never come.
  void expect(size_t length);
  void append(const uint8_t* bytes, size_t length);
  // Keeps so much of its beginning.
  void cut(size_t length);
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  // All of it, which the caller overwrites.
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// What looking at a channel found.
enum class Found {
  Nothing,
  Part,     // of a larger frame, which was dealt with
  Request,  // a whole one
  Fault,    // the module does not follow the protocol
};

class Group {
 public:
  // Shares `memory`, GROUP_BYTES of it, and unmaps it in the end.
  explicit Group(uint8_t* memory) : memory_(memory) {}
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Whether the module has done anything on a channel that was not looked at yet.
  bool stirs(unsigned index) const { return !isLent(index) && isAsked(index); }
  // Channels from this one on were quiet since the group woke up.
  unsigned reach() const { return reach_; }
  // Takes what the module handed over on a channel, if anything. A request that one turn holds is copied to
  // `inbox` (CHANNEL_DATA_BYTES); a larger one is in large(index). `frameBytes` bounds requests.
  Found look(unsigned index, size_t frameBytes, uint8_t* inbox, size_t* length) {
    reach_ = std::max(reach_, index + 1);
    return take(index, frameBytes, inbox, length);
  }
  // For the thread that a channel is lent to: whether there is a turn to take, and whether one turn has all of a request.
  bool isAsked(unsigned index) const { return shared_read(&shared(index)->module.turn) != heard_[index]; }
  // Where the module's thread was when it ended that turn: as it says.
  unsigned processor(unsigned index) const { return shared_read(&shared(index)->module.processor); }
  bool isShort(unsigned index) const { return shared_read(&shared(index)->module.length) <= CHANNEL_DATA_BYTES; }
  // As `look`. Throws std::bad_alloc: then whoever looks next finds the same.
  Found take(unsigned index, size_t frameBytes, uint8_t* inbox, size_t* length);
  const Frame& large(unsigned index) const { return channels_[index].frame; }
  // Whether a request comes in several turns, of which large(index) has those that have been; and how long all of it will be.
  bool isComing(unsigned index) const {
    return channels_[index].state == State::Receiving && channels_[index].done > 0;
  }
  size_t comingBytes(unsigned index) const { return channels_[index].length; }
  // The request was handed on: forgets its large frame.
  void handedOn(unsigned index) { channels_[index].frame.clear(); }
  // Hands on a large frame.
  std::vector<uint8_t> takeLarge(unsigned index) { return channels_[index].frame.take(); }
  // The next look finds the request that is under way once more, or the last part of it, where that is of a large frame.
  void putBack(unsigned index);
  // Answers the request that is under way on a channel; false where none is.
  bool answer(unsigned index, const uint8_t* bytes, size_t length);
  // The channel, on which a request is under way, is another thread's, until it answers without watching it, or gives it back.
  void lend(unsigned index) { lent_.fetch_or(1U << index); }
  // Whether the thread that it is lent to looks for what comes after the next answer.
  void watch(unsigned index, bool isWatched);
  // That thread sleeps until the module asks, somebody rings, or it has been long enough; not at all if it may not, once ringing would wake it.
  void sleep(unsigned index, uint64_t mostNs, const std::function<bool()>& mayStillSleep);
  void ring(unsigned index);
  // That thread is done with it. True: there is something to look at, and nobody was rung for.
  bool giveBack(unsigned index);
  // A module that rings from now on sends a byte on the connection. True: somebody rang just before.
  bool fallAsleep();
  void wakeUp();
  // How many processors are used beside the one that looks.
  void setBusy(unsigned processors) { shared_prepare(&header()->busy, processors); }

 private:
  enum class State { Receiving, Working, Sending };
  struct Channel {
    State state = State::Receiving;
    bool isWatched = false;
    uint32_t turn = 0;    // the last one that we ended
    size_t length = 0;    // of the frame that is on its way
    size_t done = 0;      // as much of it was handed over
    Frame frame;          // one that takes several turns
  };

  bool isLent(unsigned index) const { return (lent_.load() & 1U << index) != 0; }
  shared_channel* shared(unsigned index) const { return shared_channel_at(memory_, index); }
  shared_group* header() const { return reinterpret_cast<shared_group*>(memory_); }
  Found receive(unsigned index, size_t frameBytes, uint8_t* inbox, size_t* length);
  void sendPart(unsigned index, const uint8_t* frame);
  void endTurn(unsigned index, State next);

  uint8_t* const memory_;
  std::array<Channel, GROUP_CHANNELS> channels_;
  // The module's last turn that was taken. Beside each other, because they are compared again and again.
  std::array<uint32_t, GROUP_CHANNELS> heard_{};
  unsigned reach_ = 0;
  std::atomic<uint32_t> lent_{0};  // a bit for each channel
};

}  // namespace transport
