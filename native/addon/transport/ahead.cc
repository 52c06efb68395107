#include "ahead.h"

#include <openssl/err.h>

#include <algorithm>
#include <new>
#include <optional>

#include "../crypto/failure.h"
#include "transport.h"

namespace transport {

void Ahead::goOn(const std::uint8_t* request, std::size_t length) {
  const std::size_t to = std::min(length, end_);
  pieces_->update({request + done_, to - done_});
  done_ = to;
}

void Ahead::finish(const std::uint8_t* request, std::size_t length, std::uint8_t* output) {
  goOn(request, length);
  pieces_->finish(output);
}

// A part of a request has come, and the program has its turn.
void Transport::goAhead(Entry& entry, unsigned channel) {
  if (repeats_.empty() || !entry.group.isComing(channel)) return;
  const Frame& frame = entry.group.large(channel);
  std::unique_ptr<Ahead>& ahead = entry.ahead[channel];
  const bool isShared = isOneOfSeveral(entry, channel) || !away_.empty();
  try {
    if (frame.size() == CHANNEL_DATA_BYTES) {
      const Request request{entry.owner, frame.data(), frame.size()};
      ahead = repeats_.ahead(request, entry.group.comingBytes(channel));
      std::optional<Job> job;
      if (ahead && isShared && spareProcessors_ > 0 && entry.keeping.isWorthIt()) job = repeats_.lend(request);
      if (job) return handOver(entry, channel, std::move(*job), std::move(ahead));
    }
    if (!ahead) return;
    ahead->goOn(frame.data(), frame.size());
    entry.lastAnswer = readClock();
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    ahead.reset();
  } catch (const std::bad_alloc&) {
    ahead.reset();
  }
}

}  // namespace transport
