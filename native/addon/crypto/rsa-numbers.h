// Completes and checks the numbers of an RSA private key.
#pragma once

#include <array>

#include "key-formats.h"
#include "openssl.h"

namespace crypto {

using RsaNumbers = std::array<Number, rsaPartCount>;  // null where not given

// Needs n, e and d; finds the primes when absent (SP 800-56B appendix C), computes the CRT values, and
// compares them with those given. Throws InvalidKey when the numbers do not belong together or a factor is
// not prime.
void completeRsaNumbers(RsaNumbers& numbers);

}  // namespace crypto
