#include "transport.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "../addon-data.h"
#include "large-frame.h"
#include "offer.h"

namespace transport {

namespace {

// After this long in one turn of the event loop its timers, promises and sockets have theirs.
constexpr uint64_t SLICE_NS = 50'000;
// How often channels on which calls came are looked at, before the clock and all others are.
constexpr unsigned LOOKS = 16;
// Programs are not told for less than this that no other processor is used any more.
constexpr uint64_t BUSY_NS = 1'000'000;
// A program that was answered the one call of an operation makes the other within this, if it has a processor. Whoever yields
// ours meanwhile gets it back only when another thread's long operation is over, or its time.
constexpr uint64_t EXPECTED_NS = 20'000;
// A request that takes longer than this waits for something, and uses no processor.
constexpr uint64_t WORK_NS = 20'000'000;

}  // namespace

Transport::Transport(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      addon_(info.Env().GetInstanceData<AddonData>()),
      context_(info.Env(), "cloudhsm-local.transport"),
      inbox_(Napi::Persistent(info[0].As<Napi::Buffer<uint8_t>>())),
      onRequest_(Napi::Persistent(info[2].As<Napi::Function>())),
      onFault_(Napi::Persistent(info[3].As<Napi::Function>())),
      onEnded_(Napi::Persistent(info[4].As<Napi::Function>())),
      inboxBytes_(info[0].As<Napi::Buffer<uint8_t>>().Data()),
      frameBytes_(info[1].As<Napi::Number>().Uint32Value()),
      spareProcessors_(uv_available_parallelism() - 1),
      sessions_(info[5].As<Napi::Object>()),
      workers_(uv_available_parallelism(), frameBytes_, [this] { uv_async_send(askedHandle_.get()); }) {
  uv_loop_t* loop;
  napi_get_uv_event_loop(Env(), &loop);
  loopHandle_ = loopHandle<uv_idle_t>(this, [loop](uv_idle_t* handle) { uv_idle_init(loop, handle); });
  askedHandle_ = loopHandle<uv_async_t>(this, [loop](uv_async_t* handle) {
    uv_async_init(loop, handle, [](uv_async_t* asked) { static_cast<Transport*>(asked->data)->collect(); });
  });
}

Transport::~Transport() {
  workers_.stop();
  for (const Asked& asked : asked_) *asked.question = nullptr;
}

Napi::Value Transport::open(const Napi::CallbackInfo& info) {
  const int socket = info[0].As<Napi::Number>().Int32Value();
  const auto offer = info[1].As<Napi::Buffer<uint8_t>>();
  int descriptor;
  uint8_t* memory = shareableMemory(&descriptor);
  if (memory == nullptr) return info.Env().Undefined();
  const auto entry = std::make_shared<Entry>(++lastId_, info[2].As<Napi::Number>().Uint32Value(), memory);
  entry->group.fallAsleep();
  entry->group.setBusy(busy_);
  const bool sent = sendWithDescriptor(socket, offer.Data(), offer.Length(), descriptor);
  ::close(descriptor);
  if (!sent) return Napi::Number::New(info.Env(), -1);
  entries_.emplace(entry->id, entry);
  return Napi::Number::New(info.Env(), entry->id);
}

void Transport::wake(const Napi::CallbackInfo& info) {
  const auto found = entries_.find(info[0].As<Napi::Number>().Uint32Value());
  if (found == entries_.end() || found->second->closed) return;
  found->second->rung = true;
  found->second->lastAnswer = readClock();
  wakeUp(found->second);
}

void Transport::wakeUp(const std::shared_ptr<Entry>& entry) {
  if (entry->awake) return;
  entry->awake = true;
  entry->group.wakeUp();
  awake_.push_back(entry);
  uv_idle_start(loopHandle_.get(), onTurnOfLoop);
}

void Transport::answer(const Napi::CallbackInfo& info) {
  const auto found = entries_.find(info[0].As<Napi::Number>().Uint32Value());
  const unsigned channel = info[1].As<Napi::Number>().Uint32Value();
  if (found == entries_.end() || found->second->closed || channel >= GROUP_CHANNELS) return;
  const uint64_t now = readClock();
  if (found->second->working > 0) {
    found->second->working--;
    working_--;
    lastWork_ = now;
  }
  // First, so that the program's next call need not ring.
  if (mayLook(*found->second, now)) wakeUp(found->second);
  reply(*found->second, channel, info[2]);
}

void Transport::close(const Napi::CallbackInfo& info) {
  const auto found = entries_.find(info[0].As<Napi::Number>().Uint32Value());
  if (found == entries_.end()) return;
  found->second->closed = true;
  working_ -= found->second->working;
  entries_.erase(found);
}

void Transport::onTurnOfLoop(uv_idle_t* handle) {
  auto* self = static_cast<Transport*>(handle->data);
  const Napi::Env env = self->Env();
  const Napi::HandleScope scope(env);
  try {
    self->work();
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  } catch (const std::exception& error) {
    napi_fatal_exception(env, Napi::Error::New(env, error.what()).Value());
  }
  self->leaveJavaScript();
}

// Outside of any narrower handle scope: the callback scope keeps a handle from the one it is opened in.
void Transport::enterJavaScript() {
  if (!inJavaScript_) inJavaScript_.emplace(Env(), context_);
}

void Transport::leaveJavaScript() { inJavaScript_.reset(); }

void Transport::work() {
  const uint64_t deadline = readClock() + SLICE_NS;
  while (!awake_.empty() && now_ < deadline) {
    collect();
    bool found = round(Where::Everywhere, deadline);
    for (unsigned i = 0; i < LOOKS && !found; i++) {
      if (lookElsewhere()) break;
      shared_pause();
      found = round(Where::WhereCallsCame, deadline);
    }
    if (!found && asksElsewhere()) lookout()->giveWay();
    // It was read for what was found.
    if (!found) readClock();
    if (busy_ > 0 && away_.empty() && lastBusy_ + BUSY_NS < now_) setBusy(0);
    putToSleep(now_);
  }
  if (awake_.empty()) uv_idle_stop(loopHandle_.get());
}

tls::Lookout* Transport::lookout() const { return addon_->lookout.get(); }

// Where this event loop waits for an HSM, it looks for its answer as well: whether it does.
bool Transport::lookElsewhere() {
  tls::Lookout* elsewhere = lookout();
  if (elsewhere == nullptr || !elsewhere->looking()) return false;
  usesOthers(1);
  leaveJavaScript();
  elsewhere->lookOnce();
  return true;
}

// Whether an HSM in another process was asked a moment ago: it, and a program that gives way to it, may want this processor.
bool Transport::asksElsewhere() const { return busy_ > 0 && away_.empty() && lookout() != nullptr; }

// Looks at channels once, from where the last round was cut off. What it makes others write goes out in one piece. JavaScript that runs
// meanwhile may add to awake_, and never removes from it.
bool Transport::round(Where where, uint64_t deadline) {
  tls::Lookout* elsewhere = lookout();
  if (elsewhere == nullptr) return serveAll(where, deadline);
  bool found = false;
  elsewhere->gather([&] { found = serveAll(where, deadline); });
  return found;
}

bool Transport::serveAll(Where where, uint64_t deadline) {
  bool found = false;
  for (; nextEntry_ < awake_.size(); nextEntry_++) {
    Entry& entry = *awake_[nextEntry_];
    const unsigned end = where == Where::Everywhere ? GROUP_CHANNELS : entry.group.reach();
    while (nextChannel_ < end && !entry.closed) {
      const unsigned channel = nextChannel_++;
      if (!entry.group.stirs(channel) || !serve(entry, channel)) continue;
      found = true;
      if (now_ >= deadline) return true;
    }
    nextChannel_ = 0;
  }
  nextEntry_ = 0;
  return found;
}

bool Transport::serve(Entry& entry, unsigned channel) {
  size_t length = 0;
  Found found = Found::Fault;
  try {
    found = entry.group.look(channel, frameBytes_, inboxBytes_, &length);
  } catch (const std::bad_alloc&) {
    // Its frame is larger than our memory: that is its own trouble.
  }
  if (found == Found::Nothing) return false;
  if (lookout() != nullptr) lookout()->heard(nullptr);
  if (!entry.rung) entry.looking.was(true);
  entry.rung = false;
  if (found == Found::Part) {
    entry.lastAnswer = readClock();
    goAhead(entry, channel);
  }
  if (found == Found::Request && !makeOrDestroy(entry, channel, length) && !answerRepeated(entry, channel, length))
    deliver(entry, channel, length);
  if (found != Found::Fault) return true;
  entry.closed = true;
  enterJavaScript();
  const Napi::HandleScope scope(Env());
  onFault_.Call({Napi::Number::New(Env(), entry.id)});
  return true;
}

// Where it is answered, the answer is in repeated_.
Repeats::Taken Transport::takeRepeated(From from, const Request& request, Help help, std::optional<Job>* job) {
  if (sessions_.take(request.owner, request.bytes, request.length, &repeated_)) return Repeats::Taken::Answered;
  if (repeats_.empty()) return Repeats::Taken::No;
  collect();
  EndedRepeat ended;
  auto taken = repeats_.take(request, &repeated_, &ended, help, job);
  if (taken == Repeats::Taken::Away) {
    bringBack(ended.id);
    taken = repeats_.take(request, &repeated_, &ended, help, job);
  }
  if (taken == Repeats::Taken::Ended) {
    if (from == From::Loop) enterJavaScript();
    const Napi::HandleScope scope(Env());
    onEnded_.Call({Napi::Number::New(Env(), ended.id), toJs(Env(), ended.begun)});
  }
  return taken;
}

bool Transport::answerRepeated(Entry& entry, unsigned channel, size_t length) {
  const bool isLarge = length > CHANNEL_DATA_BYTES;
  const uint8_t* bytes = isLarge ? entry.group.large(channel).data() : inboxBytes_;
  const std::unique_ptr<Ahead> ahead = std::move(entry.ahead[channel]);
  std::optional<Job> job;
  const Help help = isLarge ? Help::None : helpFor(entry, channel);
  const Repeats::Taken taken = takeRepeated(From::Loop, {entry.owner, bytes, length, ahead.get()}, help, &job);
  if (taken == Repeats::Taken::No || taken == Repeats::Taken::Ended) return false;
  if (isLarge) {
    entry.group.handedOn(channel);
  } else {
    std::memset(inboxBytes_, 0, length);
  }
  if (job) {
    handOver(entry, channel, std::move(*job));
    return true;
  }
  answerWithRepeated(entry, channel);
  if (taken == Repeats::Taken::Begun) entry.expectsUntil = now_ + EXPECTED_NS;
  return true;
}

void Transport::answerWithRepeated(Entry& entry, unsigned channel) {
  entry.group.answer(channel, repeated_.data(), repeated_.size());
  std::memset(repeated_.data(), 0, repeated_.size());
  entry.lastAnswer = readClock();
}

void Transport::deliver(Entry& entry, unsigned channel, size_t length) {
  enterJavaScript();
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  Napi::Value large = env.Undefined();
  if (length > CHANNEL_DATA_BYTES) large = handOn(env, entry.group.takeLarge(channel));
  const Napi::Value answer =
      onRequest_.Call({Napi::Number::New(env, entry.id), Napi::Number::New(env, channel),
                       Napi::Number::New(env, static_cast<double>(length)), large});
  // It may have held a PIN or a key, and nobody may see the last request behind a shorter one.
  std::memset(inboxBytes_, 0, std::min<size_t>(length, CHANNEL_DATA_BYTES));
  if (entry.closed) return;
  if (!answer.IsUndefined()) {
    reply(entry, channel, answer);
    return;
  }
  entry.lastAnswer = 0;
  entry.working++;
  working_++;
  lastWork_ = readClock();
  // What it waits for may be promises that only have to have their turn.
  leaveJavaScript();
}

void Transport::reply(Entry& entry, unsigned channel, const Napi::Value& answer) {
  if (!answer.IsBuffer()) throw Napi::TypeError::New(Env(), "an answer must be a Buffer");
  auto bytes = answer.As<Napi::Buffer<uint8_t>>();
  if (bytes.Length() > frameBytes_) throw Napi::RangeError::New(Env(), "an answer larger than any frame");
  entry.group.answer(channel, bytes.Data(), bytes.Length());
  // It may hold what was decrypted, and nobody has a use for it any more.
  std::memset(bytes.Data(), 0, bytes.Length());
  entry.lastAnswer = readClock();
}

// Whether looking takes no processor from those that could be used: by the program, or by other threads of ours.
bool Transport::mayLook(const Entry& entry, uint64_t now) const {
  const unsigned working = now < lastWork_ + WORK_NS ? working_ : 0;
  return !entry.looking.isLeftOut() && working + awayLong_ < spareProcessors_;
}

// Whether a group in which nothing was found is left to ring.
bool Transport::fallsAsleep(Entry& entry, uint64_t now) {
  // It may have been answered after `now` was taken: the difference would wrap.
  if (now < entry.expectsUntil) return false;
  const bool looked = mayLook(entry, now);
  if (looked && entry.lastAnswer + HOT_NS > now) return false;
  // This event loop does not sleep now, and looking costs less than being rung for.
  const tls::Lookout* elsewhere = lookout();
  if (elsewhere != nullptr && elsewhere->looking()) return false;
  if (entry.group.fallAsleep()) return false;
  if (entry.looking.isWorthIt() && looked && entry.lastAnswer > 0) entry.looking.was(false);
  return true;
}

// Stops looking at groups that have nothing more. Also the only place that removes from awake_.
void Transport::putToSleep(uint64_t now) {
  // In the middle of a round its place must not move: the groups behind it are looked at first.
  if (nextEntry_ != 0 || nextChannel_ != 0) return;
  const auto asleep = [&](const std::shared_ptr<Entry>& entry) {
    if (entry->closed) return true;
    entry->awake = !fallsAsleep(*entry, now);
    return !entry->awake;
  };
  awake_.erase(std::remove_if(awake_.begin(), awake_.end(), asleep), awake_.end());
}

Napi::Value Transport::take(const Napi::CallbackInfo& info) {
  const auto request = info[1].As<Napi::Buffer<uint8_t>>();
  const uint32_t owner = info[0].As<Napi::Number>().Uint32Value();
  std::optional<Job> job;
  const auto taken = takeRepeated(From::JavaScript, {owner, request.Data(), request.Length()}, Help::None, &job);
  if (taken == Repeats::Taken::No || taken == Repeats::Taken::Ended) return info.Env().Undefined();
  const auto answer = Napi::Buffer<uint8_t>::Copy(info.Env(), repeated_.data(), repeated_.size());
  std::memset(repeated_.data(), 0, repeated_.size());
  return answer;
}

Napi::Value Transport::endRepeat(const Napi::CallbackInfo& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  bringBack(id);
  const auto ended = repeats_.end(id);
  return ended ? toJs(info.Env(), ended->begun) : info.Env().Undefined();
}

Napi::Function Transport::define(Napi::Env env) {
  return DefineClass(env, "Transport",
                     {InstanceMethod<&Transport::open>("open"), InstanceMethod<&Transport::wake>("wake"),
                      InstanceMethod<&Transport::answer>("answer"), InstanceMethod<&Transport::close>("close"),
                      InstanceMethod<&Transport::repeat>("repeat"), InstanceMethod<&Transport::take>("take"),
                      InstanceMethod<&Transport::endRepeat>("endRepeat"), InstanceMethod<&Transport::share>("share"),
                      InstanceMethod<&Transport::unshare>("unshare"),
                      InstanceMethod<&Transport::lendReads>("lendReads"),
                      InstanceMethod<&Transport::endReads>("endReads"),
                      InstanceMethod<&Transport::keep>("keep"), InstanceMethod<&Transport::makeKeys>("makeKeys"),
                      InstanceMethod<&Transport::collectKeys>("collectKeys"),
                      InstanceMethod<&Transport::endKeys>("endKeys"),
                      InstanceMethod<&Transport::settle>("settle"),
                      InstanceMethod<&Transport::operationsOfThreads>("operationsOfThreads"),
                      InstanceMethod<&Transport::operationsAsked>("operationsAsked")});
}

Napi::Object exportTransport(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("Transport", Transport::define(env));
  exports.Set("release", Napi::Function::New<letGo>(env));
  exports.Set("layoutVersion", Napi::Number::New(env, CHANNEL_LAYOUT_VERSION));
  exports.Set("channels", Napi::Number::New(env, GROUP_CHANNELS));
  exports.Set("channelBytes", Napi::Number::New(env, CHANNEL_BYTES));
  exports.Set("inboxBytes", Napi::Number::New(env, CHANNEL_DATA_BYTES));
  exports.Set("longestIvBytes", Napi::Number::New(env, Repeatable::longestIvBytes));
  return exports;
}

}  // namespace transport
