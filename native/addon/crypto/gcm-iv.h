// GCM initialization vectors longer than OpenSSL takes.
#pragma once

#include "bytes.h"
#include "openssl.h"

namespace crypto {

// Finds the 16-byte IV that makes GCM start from the same counter block J0 as `iv` does (SP 800-38D
// section 7.1, step 2). With J0 = GHASH(iv blocks || length), two IVs agree when their GHASH states before
// the last multiplication agree, so it takes one inversion in GF(2^128). `ecb` is the AES-ECB of the key's
// length.
void foldLongGcmIv(const EVP_CIPHER* ecb, View key, View iv, unsigned char folded[16]);

}  // namespace crypto
