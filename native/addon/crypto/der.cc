#include "der.h"

#include <cstring>

#include "failure.h"

namespace crypto {

namespace {

[[noreturn]] void malformed() {
  fail(FailureCode::InvalidKey, "the key is not valid DER");
}

// Bytes after the tag: one for lengths below 128, else a count byte and the length itself (X.690
// section 8.1.3).
std::size_t lengthOctets(std::size_t length) {
  std::size_t octets = 1;
  if (length >= 0x80) {
    for (std::size_t rest = length; rest > 0; rest >>= 8) octets++;
  }
  return octets;
}

View withoutLeadingZeros(View bytes) {
  while (bytes.length > 0 && bytes.data[0] == 0) bytes = {bytes.data + 1, bytes.length - 1};
  return bytes;
}

}  // namespace

View DerReader::takeWhole(DerTag tag) {
  const View start = rest_;
  take(tag);
  return {start.data, static_cast<std::size_t>(rest_.data - start.data)};
}

View DerReader::take(DerTag tag) {
  if (rest_.length < 2 || rest_.data[0] != tag) malformed();
  std::size_t length = rest_.data[1];
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t count = length & 0x7f;
    if (count == 0 || count > 4 || rest_.length < 2 + count) malformed();
    length = 0;
    for (std::size_t i = 0; i < count; i++) length = (length << 8) | rest_.data[2 + i];
    header = 2 + count;
    if (1 + lengthOctets(length) != header) malformed();  // DER wants the shortest form
  }
  if (length > rest_.length - header) malformed();
  const View content{rest_.data + header, length};
  rest_ = {content.data + length, rest_.length - header - length};
  return content;
}

View DerReader::takeNumber() {
  const View content = take(derInteger);
  if (content.length == 0 || (content.data[0] & 0x80) != 0) malformed();
  return withoutLeadingZeros(content);
}

View DerReader::takeBitString() {
  const View content = take(derBitString);
  if (content.length == 0 || content.data[0] != 0) malformed();  // the first byte counts unused bits
  return {content.data + 1, content.length - 1};
}

void DerReader::skipOptional(unsigned char tag) {
  if (nextIs(static_cast<DerTag>(tag))) take(static_cast<DerTag>(tag));
}

void DerReader::expectEnd() const {
  if (rest_.length != 0) malformed();
}

Bytes derElement(DerTag tag, std::initializer_list<View> contents) {
  std::size_t length = 0;
  for (const View& part : contents) length += part.length;
  const std::size_t octets = lengthOctets(length);
  Bytes element(1 + octets + length);
  unsigned char* to = element.data();
  *to++ = tag;
  if (octets == 1) {
    *to++ = static_cast<unsigned char>(length);
  } else {
    *to++ = static_cast<unsigned char>(0x80 | (octets - 1));
    for (std::size_t shift = 8 * (octets - 1); shift > 0; shift -= 8) {
      *to++ = static_cast<unsigned char>(length >> (shift - 8));
    }
  }
  for (const View& part : contents) {
    std::memcpy(to, part.data, part.length);
    to += part.length;
  }
  return element;
}

Bytes derNumber(View bigEndian) {
  static const unsigned char zero[1] = {0};
  const View digits = withoutLeadingZeros(bigEndian);
  const bool needsZero = digits.length == 0 || (digits.data[0] & 0x80) != 0;
  return derElement(derInteger, {{zero, needsZero ? std::size_t{1} : 0}, digits});
}

Bytes derBitStringOf(View bytes) {
  static const unsigned char noUnusedBits[1] = {0};
  return derElement(derBitString, {{noUnusedBits, 1}, bytes});
}

}  // namespace crypto
