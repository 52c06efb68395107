// The few pieces of DER (X.690) that PKCS#8, SubjectPublicKeyInfo and ECDSA keys need. OpenSSL's own decoders
// try every format they know and cost more than most operations done with the key.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "bytes.h"

namespace crypto {

enum DerTag : unsigned char {
  derInteger = 0x02,
  derBitString = 0x03,
  derOctetString = 0x04,
  derNull = 0x05,
  derObjectIdentifier = 0x06,
  derSequence = 0x30,
  derContext0 = 0xa0,
  derContext1 = 0xa1,
};

// Reads elements one after the other; throws InvalidKey as soon as something is not as expected.
class DerReader {
 public:
  explicit DerReader(View bytes) : rest_(bytes) {}

  bool nextIs(DerTag tag) const { return rest_.length > 0 && rest_.data[0] == tag; }
  View take(DerTag tag);       // the content of the next element
  View takeWhole(DerTag tag);  // the next element with its tag and length
  View takeNumber();           // the content of a non-negative INTEGER without leading zeros
  View takeBitString();        // the content of a BIT STRING of whole bytes
  DerReader enter(DerTag tag) { return DerReader(take(tag)); }
  void skipOptional(unsigned char tag);
  void expectEnd() const;

 private:
  View rest_;
};

Bytes derElement(DerTag tag, std::initializer_list<View> contents);
Bytes derNumber(View bigEndian);  // a non-negative INTEGER
Bytes derBitStringOf(View bytes);

}  // namespace crypto
