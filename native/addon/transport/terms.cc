// What JavaScript says of a repeat, and what it is told.
#include "repeats.h"

namespace transport {

Terms termsOf(const Napi::Object& said) {
  const auto number = [&](const char* name) { return said.Get(name).As<Napi::Number>(); };
  const auto calls = said.Get("calls").As<Napi::Array>();
  auto uses = said.Get("uses").As<Napi::Float64Array>();
  Words words{};
  for (uint32_t i = 0; i < calls.Length(); i++)
    words.calls.push_back(static_cast<uint16_t>(calls.Get(i).As<Napi::Number>().Uint32Value()));
  words.request = octetsOf(said.Get("request"));
  words.ivAt = number("ivAt").Uint32Value();
  words.ivBytes = number("ivBytes").Uint32Value();
  words.refusesZeroIv = said.Get("refusesZeroIv").As<Napi::Boolean>();
  words.answer = octetsOf(said.Get("answer"));
  words.longestInputBytes = number("longestInputBytes").Uint32Value();
  words.work = *said.Get("work").As<RepeatableHandle>().Data();
  const bool fits = words.calls.size() > 1 && words.request.size() >= headBytes && words.ivBytes <= Repeatable::longestIvBytes &&
                    words.ivAt + words.ivBytes <= words.request.size() && uses.ElementLength() > 1;
  if (!fits) throw Napi::RangeError::New(said.Env(), "no terms of a repeat");
  Terms terms{};
  terms.owner = number("owner").Uint32Value();
  terms.session = static_cast<uint64_t>(number("session").Int64Value());
  terms.words = std::make_shared<const Words>(std::move(words));
  terms.uses = uses.Data();
  terms.keepsUses = Napi::Persistent(uses);
  return terms;
}

Napi::Value toJs(Napi::Env env, const std::optional<Begun>& begun) {
  if (!begun) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("iv", Napi::Buffer<uint8_t>::Copy(env, begun->iv.data(), begun->iv.size()));
  return object;
}

}  // namespace transport
