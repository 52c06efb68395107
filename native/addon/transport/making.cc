#include "making.h"

#include <cstring>

namespace transport {

namespace {

constexpr std::size_t handleBytes = KeyMaker::handleBytes;
// JavaScript's numbers are exact up to here.
constexpr std::uint64_t LAST_HANDLE = (std::uint64_t{1} << 53) - 1;

}  // namespace

MadeKeys::MadeKeys(const Napi::Object& said, std::uint32_t id)
    : id_(id),
      request_(octetsOf(said.Get("request"))),
      answer_(octetsOf(said.Get("answer"))),
      handleAt_(said.Get("handleAt").As<Napi::Number>().Uint32Value()),
      destroyCall_(static_cast<std::uint16_t>(said.Get("destroyCall").As<Napi::Number>().Uint32Value())),
      destroyed_(octetsOf(said.Get("destroyed"))),
      mostLeaving_(said.Get("mostLeaving").As<Napi::Number>().Uint32Value()),
      maker_(*said.Get("maker").As<KeyMakerHandle>().Data()) {
  if (request_.size() < headBytes || handleAt_ + handleBytes > answer_.size())
    throw Napi::RangeError::New(said.Env(), "no key that is made again");
}

bool MadeKeys::isMade(const std::uint8_t* request, std::size_t length) const {
  return !isOver_ && length == request_.size() && std::memcmp(request, request_.data(), length) == 0;
}

bool MadeKeys::conclude(const std::optional<crypto::View>& handle, Octets* answer) {
  const std::uint64_t number = handle ? read<std::uint64_t>(handle->data) : 0;
  if (!handle || number > LAST_HANDLE) {
    isOver_ = true;
    return false;
  }
  if (isEnded_) {
    maker_->destroy(*handle);
    return false;
  }
  handles_.insert(number);
  made_++;
  *answer = answer_;
  write(answer->data() + handleAt_, number);
  return true;
}

bool MadeKeys::destroy(const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (length != headBytes + handleBytes || read<std::uint16_t>(request) != destroyCall_) return false;
  const auto found = handles_.find(read<std::uint64_t>(request + headBytes));
  if (found == handles_.end() || maker_->leaving() >= mostLeaving_) return false;
  if (!maker_->destroy({request + headBytes, handleBytes})) return false;
  handles_.erase(found);
  destroyedCount_++;
  *answer = destroyed_;
  return true;
}

Napi::Object MadeKeys::collect(Napi::Env env) {
  const auto handles = Napi::Array::New(env, handles_.size());
  const auto leaving = Napi::Array::New(env);
  std::uint32_t at = 0;
  for (const std::uint64_t handle : handles_) handles.Set(at++, Napi::Number::New(env, static_cast<double>(handle)));
  at = 0;
  for (const KeyMaker::Leaving& one : maker_->takeOver()) {
    leaving.Set(at++, Napi::Number::New(env, one.id));
    leaving.Set(at++, Napi::Number::New(env, static_cast<double>(one.handle)));
  }
  Napi::Object collected = Napi::Object::New(env);
  collected.Set("handles", handles);
  collected.Set("leaving", leaving);
  collected.Set("made", Napi::Number::New(env, made_));
  collected.Set("destroyed", Napi::Number::New(env, destroyedCount_));
  collected.Set("isOver", Napi::Boolean::New(env, isOver_));
  handles_.clear();
  made_ = destroyedCount_ = 0;
  return collected;
}

std::uint32_t Making::add(const Napi::Object& said) {
  const auto session = static_cast<std::uint64_t>(said.Get("session").As<Napi::Number>().Int64Value());
  const Place place{said.Get("owner").As<Napi::Number>().Uint32Value(), session};
  if (!made_.emplace(place, std::make_shared<MadeKeys>(said, lastId_ + 1)).second)
    throw Napi::Error::New(said.Env(), "the session makes keys already");
  places_.emplace(++lastId_, place);
  return lastId_;
}

std::shared_ptr<MadeKeys> Making::find(std::uint32_t owner, const std::uint8_t* request, std::size_t length) const {
  if (made_.empty() || length < headBytes) return nullptr;
  const auto found = made_.find({owner, read<std::uint64_t>(request + 2)});
  return found == made_.end() ? nullptr : found->second;
}

Napi::Value Making::collect(Napi::Env env) {
  if (changed_.empty()) return env.Undefined();
  const auto all = Napi::Array::New(env);
  std::uint32_t at = 0;
  for (const auto& keys : changed_) {
    all.Set(at++, Napi::Number::New(env, keys->id()));
    all.Set(at++, keys->collect(env));
  }
  changed_.clear();
  return all;
}

Napi::Value Making::end(Napi::Env env, std::uint32_t id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return env.Undefined();
  const auto found = made_.find(place->second);
  const std::shared_ptr<MadeKeys> keys = found->second;
  made_.erase(found);
  places_.erase(place);
  keys->end();
  return changed_.erase(keys) > 0 ? keys->collect(env) : env.Undefined();
}

}  // namespace transport
