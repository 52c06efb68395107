{
  "targets": [
    {
      "target_name": "cloudhsm_local",
      "sources": [
        "native/addon/addon.cc",
        "native/addon/host.cc",
        "native/addon/crypto/bytes.cc",
        "native/addon/crypto/ciphers.cc",
        "native/addon/crypto/crypto.cc",
        "native/addon/crypto/curves.cc",
        "native/addon/crypto/der.cc",
        "native/addon/crypto/ec.cc",
        "native/addon/crypto/failure.cc",
        "native/addon/crypto/gcm-iv.cc",
        "native/addon/crypto/generate.cc",
        "native/addon/crypto/hashed.cc",
        "native/addon/crypto/key-formats.cc",
        "native/addon/crypto/key-material.cc",
        "native/addon/crypto/key-wrap.cc",
        "native/addon/crypto/keys.cc",
        "native/addon/crypto/mac.cc",
        "native/addon/crypto/message-keys.cc",
        "native/addon/crypto/openssl.cc",
        "native/addon/crypto/pkey.cc",
        "native/addon/crypto/rsa-numbers.cc",
        "native/addon/crypto/rsa.cc",
        "native/addon/disk/direct-writes.cc",
        "native/addon/tls/answering.cc",
        "native/addon/tls/context.cc",
        "native/addon/tls/delivering.cc",
        "native/addon/tls/lookout.cc",
        "native/addon/tls/stream.cc",
        "native/addon/transport/group.cc",
        "native/addon/transport/helping.cc",
        "native/addon/transport/large-frame.cc",
        "native/addon/transport/offer.cc",
        "native/addon/transport/reads.cc",
        "native/addon/transport/repeats.cc",
        "native/addon/transport/sessions.cc",
        "native/addon/transport/sharing.cc",
        "native/addon/transport/terms.cc",
        "native/addon/transport/transport.cc",
        "native/addon/transport/workers.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++17", "-fexceptions"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "MACOSX_DEPLOYMENT_TARGET": "12.0"
      }
    }
  ]
}
