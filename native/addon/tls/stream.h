// One TLS connection over a connected socket, read and written from the event loop: without the streams of node:tls, whose machinery
// costs more than TLS does.
#pragma once

#include <napi.h>
#include <openssl/ssl.h>
#include <uv.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "../crypto/openssl.h"
#include "answering.h"
#include "asking.h"
#include "frames.h"
#include "lookout.h"
#include "outbox.h"

namespace tls {

Napi::Object exportTls(Napi::Env env);

class Stream;

// How others find a connection, as long as it is open.
struct Line {
  Stream* stream;
};

// askedOperation({streams, words, answer, outputBytes, verifies}) -> the operation that one of these connections is asked for at a time;
// see Command
Napi::Value askedOperation(const Napi::CallbackInfo& info);

// askedKeys({stream, make, destroy, onOther}) -> what makes session keys at the end of this connection: see KeyMaker. `make` and `destroy`
// are {words, answer, outputAt, outputBytes}; the output of the one and what is behind the words of the other is the handle.
//   onOther(id, handle?)  a request to make a key, or to destroy this one, is answered in another way: the answer comes to onData
Napi::Value askedKeys(const Napi::CallbackInfo& info);

class Stream : public Napi::ObjectWrap<Stream>, private LookedAt {
 public:
  static Napi::Function define(Napi::Env env);
  // new Stream(context, descriptor, inbox, onOpen, onData, onDrain, onClose): it has a duplicate of the descriptor, and shakes hands
  // from the event loop. Nothing is called before that, and none of the functions may throw.
  //   onOpen()       the peer has shown a certificate that the context trusts
  //   onData(at, bytes) -> whether the peer owes more: so many bytes lie there in the inbox, until it returns
  //   onDrain()      everything is written, after write() answered false
  //   onClose(why?)  the last call: the connection has ended; `why` unless this side or the peer has ended it
  explicit Stream(const Napi::CallbackInfo& info);
  ~Stream() override;

  // write(Buffer) -> whether the peer takes away what is written; the buffer is not needed any more.
  Napi::Value write(const Napi::CallbackInfo& info);
  // Reads nothing more until resume(). What lies in the inbox is to be taken all the same.
  void pause(const Napi::CallbackInfo& info);
  void resume(const Napi::CallbackInfo& info);
  // end(): tells the peer so when everything is written. destroy(): now.
  void end(const Napi::CallbackInfo& info);
  void destroy(const Napi::CallbackInfo& info);
  // peerChain() -> DER: the peer's certificate, those that certify it up to one that is trusted, and what else it presents.
  Napi::Value peerChain(const Napi::CallbackInfo& info);
  // traffic() -> [bytes read, bytes written] of the socket.
  Napi::Value traffic(const Napi::CallbackInfo& info);
  // answerOperation(terms) -> its number, endOperation(number), keepAnswer(terms): see Answering, which the peer's frames come to first.
  Napi::Value answerOperation(const Napi::CallbackInfo& info);
  void endOperation(const Napi::CallbackInfo& info);
  void keepAnswer(const Napi::CallbackInfo& info);
  // startAfresh(): nobody asks any more through what was made for this connection, and nothing is answered that JavaScript has not seen.
  void startAfresh(const Napi::CallbackInfo& info);
  // asked() -> [how many requests of askedOperation are not answered, for how many ms the peer has answered none of them].
  Napi::Value asked(const Napi::CallbackInfo& info);

  const std::shared_ptr<Line>& line() const { return line_; }
  // Gives a command; its answer is for the question. The request's id; 0 where it was not asked.
  uint32_t ask(const std::shared_ptr<const Command>& command, crypto::View beside, crypto::View input,
               const std::shared_ptr<Question>& question);
  // The answer is JavaScript's.
  void forget(uint32_t id) { asking_.forget(id); }
  Napi::Value call(const Napi::FunctionReference& function, std::initializer_list<napi_value> arguments);

 private:
  // A peer that takes nothing away is not written to beyond this: write() says so.
  static constexpr size_t HIGH_WATER_BYTES = 64 * 1024;

  static void onPoll(uv_poll_t* handle, int status, int events);
  bool look() override;
  void send() override;
  template <typename Work>
  void inEventLoop(const Work& work);
  void step(int events);
  bool shakeHands();
  void read();
  // What lies in the inbox; whether the peer owes more.
  bool deliver(size_t lengthBytes);
  bool hand(size_t from, size_t end);
  bool answered(const Answering::Found& found, bool isAlone);
  bool answeredLong(const Answering::Found& found, bool isAlone);
  bool hasMore() const;
  bool tookAnswer(const uint8_t* frame, size_t length);
  // Whether what is written here keeps nobody else waiting.
  bool isFree() const;
  // As write().
  void put(const uint8_t* bytes, size_t length);
  // Whether it is still open.
  bool flush();
  bool mayWrite() const { return opened_ && !closed_ && !broken_; }
  std::string socketError() const;
  // Encrypts and writes as much as the socket takes.
  size_t writeSome(const uint8_t* bytes, size_t length);
  // Notes what an operation of OpenSSL waits for, or that it has failed.
  void heed(int result);
  // As much of the outbox as the socket takes.
  void writeOut();
  void listen();
  void close(const std::string& why);
  void finish();

  Napi::AsyncContext context_;
  Napi::Reference<Napi::Buffer<uint8_t>> inbox_;
  Napi::FunctionReference onOpen_, onData_, onDrain_, onClose_;
  uint8_t* inboxBytes_;
  size_t inboxLength_;
  std::unique_ptr<SSL, crypto::Release<SSL_free>> ssl_;
  uv_poll_t* poll_ = nullptr;
  int descriptor_ = -1;
  int listening_ = 0;
  Lookout* lookout_;  // the environment's
  Outbox outbox_;
  Frames frames_;
  Answering answering_;
  Octets answer_;
  Asking asking_;
  uint64_t heardNs_ = 0;  // when an answer to those came last, or the first of them was asked
  std::shared_ptr<Line> line_ = std::make_shared<Line>(Line{this});
  std::string why_;
  bool opened_ = false;
  bool paused_ = false;
  bool full_ = false;  // write() has answered false
  bool ending_ = false;
  bool broken_ = false;
  bool peerEnded_ = false;
  bool closed_ = false;
  bool wantsWrite_ = false;  // OpenSSL waits for room in the socket
  bool again_ = false;       // there may be something without the socket's becoming readable
  bool hasCome_ = false;     // something was read
};

}  // namespace tls
