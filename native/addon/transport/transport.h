// The engine's side of all shared memory: looks for requests while programs call, sleeps while they do not, and
// hands each request to one JavaScript function.
#pragma once

#include <napi.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "../loop-handle.h"
#include "../tls/lookout.h"
#include "group.h"
#include "making.h"
#include "repeats.h"
#include "sessions.h"
#include "workers.h"

struct AddonData;

namespace transport {

Napi::Object exportTransport(Napi::Env env);

// A program that calls again within this finds us looking; later than this it has to wake us.
constexpr uint64_t HOT_NS = 100'000;

// Looking in vain costs more than being woken where the program cannot run meanwhile: because it shares our processor, or has
// other things to do. So after each time in vain it is left out more often, up to 15 times.
class Looking {
 public:
  bool isLeftOut() const { return leftOut_ > 0; }
  // False: it is left out this time.
  bool isWorthIt() {
    if (!isLeftOut()) return true;
    leftOut_--;
    return false;
  }
  void was(bool ofUse) {
    inVain_ = ofUse ? 0 : std::min(inVain_ + 1, MOST_IN_VAIN);
    leftOut_ = (1U << inVain_) - 1;
  }

 private:
  static constexpr unsigned MOST_IN_VAIN = 4;
  unsigned inVain_ = 0;
  unsigned leftOut_ = 0;
};

class Transport : public Napi::ObjectWrap<Transport> {
 public:
  static Napi::Function define(Napi::Env env);
  // new Transport(inbox, frameBytes, onRequest, onFault, onEnded, calls)
  //   inbox       a Buffer of CHANNEL_DATA_BYTES in which short requests lie during onRequest, and no longer
  //   onRequest   (group, channel, length, large?) -> the answer, or undefined if it will come by answer();
  //               `large` is the request where the inbox does not hold it. Must not throw.
  //   onFault     (group): its module does not follow the protocol, and is not listened to any more
  //   onEnded     (repeat, begun?): a request has ended the repeat, and comes next. Must not throw.
  //   calls       the numbers of those that sessions_ answers
  explicit Transport(const Napi::CallbackInfo& info);
  ~Transport() override;

  // open(socket, offer, owner) -> the number of a new group, whose memory went over the socket along with the frame
  // `offer`; undefined where memory cannot be shared (nothing was sent), -1 where the offer cannot be sent. `owner`
  // is the application's number.
  Napi::Value open(const Napi::CallbackInfo& info);
  // wake(group): a byte came on its connection.
  void wake(const Napi::CallbackInfo& info);
  // answer(group, channel, Buffer): for what onRequest left open. Of a group that is gone: does nothing.
  void answer(const Napi::CallbackInfo& info);
  // close(group): its connection is gone.
  void close(const Napi::CallbackInfo& info);
  // repeat(terms) -> its number; the members of struct Terms
  Napi::Value repeat(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), repeats_.add(termsOf(info[0].As<Napi::Object>())));
  }
  // take(owner, request) -> the answer, if JavaScript is not needed for it: of a request that came another way
  Napi::Value take(const Napi::CallbackInfo& info);
  // endRepeat(repeat) -> {iv} where an operation is begun, else undefined
  Napi::Value endRepeat(const Napi::CallbackInfo& info);
  // makeKeys(terms) -> its number; collectKeys() -> what was done of all; endKeys(number) -> of that: see Making
  Napi::Value makeKeys(const Napi::CallbackInfo& info);
  Napi::Value collectKeys(const Napi::CallbackInfo& info);
  Napi::Value endKeys(const Napi::CallbackInfo& info);
  // settle(): has the uses of repeats counted up to now.
  void settle(const Napi::CallbackInfo&);
  // operationsOfThreads(): how many operations other threads have run.
  Napi::Value operationsOfThreads(const Napi::CallbackInfo& info);
  // operationsAsked(): how many of them another process has run.
  Napi::Value operationsAsked(const Napi::CallbackInfo& info);
  // share(owner, session, words): see Sessions
  void share(const Napi::CallbackInfo& info);
  // unshare(owner, session)
  void unshare(const Napi::CallbackInfo& info);
  // lendReads(changes, uses) -> its number: see Reads
  Napi::Value lendReads(const Napi::CallbackInfo& info);
  // endReads(lease)
  void endReads(const Napi::CallbackInfo& info);
  // keep(owner, request, answer, changesAt)
  void keep(const Napi::CallbackInfo& info);

 private:
  struct Entry {
    Entry(uint32_t number, uint32_t application, uint8_t* memory)
        : id(number), owner(application), group(memory) {}
    const uint32_t id;
    const uint32_t owner;
    Group group;
    bool awake = false;
    bool closed = false;      // removed from awake_ when that is not being walked through
    bool rung = false;        // what is found next was announced, and says nothing about looking
    uint64_t lastAnswer = 0;  // 0: its last request went to another thread, and nothing is to be expected
    uint64_t expectsUntil = 0;  // what a long operation was begun for comes before that, most likely
    uint32_t back = 0;          // channels whose request another thread could not run
    // Whether to look for its next call after the last one, and whether a thread that has worked for it does.
    Looking looking;
    Looking keeping;
    // By channel: what is done of a request as it comes.
    std::array<std::unique_ptr<Ahead>, GROUP_CHANNELS> ahead;
    unsigned working = 0;  // requests that are answered later
  };

  static void onTurnOfLoop(uv_idle_t* handle);
  void enterJavaScript();
  void leaveJavaScript();
  void wakeUp(const std::shared_ptr<Entry>& entry);
  bool mayLook(const Entry& entry, uint64_t now) const;
  bool fallsAsleep(Entry& entry, uint64_t now);
  void work();
  enum class Where { Everywhere, WhereCallsCame };
  bool round(Where where, uint64_t deadline);
  bool serveAll(Where where, uint64_t deadline);
  bool lookElsewhere();
  bool asksElsewhere() const;
  // The one of this event loop, if it has connections of TLS.
  tls::Lookout* lookout() const;
  uint64_t readClock() { return now_ = uv_hrtime(); }
  bool serve(Entry& entry, unsigned channel);
  enum class From { Loop, JavaScript };
  Repeats::Taken takeRepeated(From from, const Request& request, Help help, std::optional<Job>* job);
  void goAhead(Entry& entry, unsigned channel);
  bool answerRepeated(Entry& entry, unsigned channel, size_t length);
  void answerWithRepeated(Entry& entry, unsigned channel);
  void deliver(Entry& entry, unsigned channel, size_t length);
  bool isOneOfSeveral(const Entry& entry, unsigned channel);
  Help helpFor(Entry& entry, unsigned channel);
  void handOver(Entry& entry, unsigned channel, Job&& job, std::unique_ptr<Ahead> ahead = nullptr);
  using Ask = std::function<std::shared_ptr<Question>(Question question)>;
  // Makes the program's answer of what was answered; false where JavaScript has to.
  using Conclude = std::function<bool(const std::optional<crypto::View>& output, Octets* answer)>;
  void ask(const std::shared_ptr<Entry>& entry, unsigned channel, Job&& given);
  bool makeOrDestroy(Entry& entry, unsigned channel, size_t length);
  void wait(const std::shared_ptr<Entry>& entry, unsigned channel, uint32_t repeat, const Ask& ask, Conclude conclude);
  void answered(uint64_t number, const std::optional<crypto::View>& output);
  void forgetAsked(uint32_t repeat);
  void endAsking(size_t index, const std::optional<crypto::View>& output);
  void collect();
  void bringBack(uint32_t repeat);
  void takeBack(size_t index);
  void usesOthers(unsigned processors);
  unsigned processorsAway() const;
  void setBusy(unsigned processors);
  void putToSleep(uint64_t now);
  void reply(Entry& entry, unsigned channel, const Napi::Value& answer);

  LoopHandle<uv_idle_t> loopHandle_;
  LoopHandle<uv_async_t> askedHandle_;
  const AddonData* const addon_;
  Napi::AsyncContext context_;
  // While it is open JavaScript can be called cheaply; when it closes, promises and nextTick have their turn.
  std::optional<Napi::CallbackScope> inJavaScript_;
  Napi::Reference<Napi::Buffer<uint8_t>> inbox_;
  Napi::FunctionReference onRequest_;
  Napi::FunctionReference onFault_;
  Napi::FunctionReference onEnded_;
  uint8_t* inboxBytes_;
  size_t frameBytes_;
  const unsigned spareProcessors_;  // beside the one that the engine's thread has
  unsigned working_ = 0;            // of all entries
  uint64_t lastWork_ = 0;           // when such a request came or was answered
  uint64_t now_ = 0;                // when the clock was last read: that takes longer than looking does
  uint32_t lastId_ = 0;
  std::unordered_map<uint32_t, std::shared_ptr<Entry>> entries_;
  std::vector<std::shared_ptr<Entry>> awake_;
  Sessions sessions_;
  Repeats repeats_;
  Making making_;
  Octets repeated_;  // the answer to a request that needed no JavaScript
  // What other threads were given, and has not been noticed to be over.
  struct Away {
    std::shared_ptr<Entry> entry;
    std::shared_ptr<Errand> errand;
  };
  std::vector<Away> away_;
  // What another process was asked for, and has not answered.
  struct Asked {
    uint64_t number;
    std::shared_ptr<Entry> entry;
    unsigned channel;
    uint32_t repeat;  // 0: it is none
    Conclude conclude;
    std::shared_ptr<Question> question;
    bool isWorking = false;
  };
  std::vector<Asked> asked_;
  uint64_t lastAsked_ = 0;
  uint64_t operationsAsked_ = 0;
  unsigned awayLong_ = 0;   // of them, those that take a thread for long
  unsigned collected_ = 0;  // how many had ended when that was last noticed
  unsigned busy_ = 0;       // processors beside this one, as the modules know
  uint64_t lastBusy_ = 0;
  Workers workers_;
  // Where the last repeated operation came from, and when the last one came from elsewhere than the one before.
  std::pair<uint32_t, unsigned> lastCaller_;
  uint64_t lastChange_ = 0;
  size_t nextEntry_ = 0;  // where the round through awake_ goes on
  unsigned nextChannel_ = 0;
};

}  // namespace transport
