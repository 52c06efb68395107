// The search for the two primes of a new RSA key.
#pragma once

#include "openssl.h"

namespace crypto {

// A new key pair as OpenSSL makes it (FIPS 186-4 appendix B.3.6 from 2048 bits on). How long a search takes is luck,
// so processors that no other search uses look as well, and the first key that is found is the one. Throws
// OperationFailed, also where OpenSSL refuses the length or the exponent.
Pkey searchRsaKey(int modulusBits, const Number& exponent);

}  // namespace crypto
