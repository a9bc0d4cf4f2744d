// Finds the client random of a TLS handshake in a byte stream, so that the key that a program's TLS
// library hands over under this random finds its connection (ARCHITECTURE.md 7). Looks for a
// ClientHello (RFC 8446 4.1.2) at any place, as TLS may begin after a plain dialogue (STARTTLS).
#ifndef MPTCPTLS_ENGINE_CLIENT_RANDOM_H_
#define MPTCPTLS_ENGINE_CLIENT_RANDOM_H_

#include <array>
#include <cstddef>
#include <optional>

#include "stack/types.h"

namespace mptcptls {

using ClientRandom = std::array<uint8_t, 32>;

class ClientRandomFinder {
 public:
  // Bytes of the stream that are looked at before the search is given up.
  static constexpr size_t kLimit = 65536;

  // Takes the next bytes of the stream, in any pieces; the random once, when it is complete.
  std::optional<ClientRandom> Feed(ByteSpan bytes);
  bool done() const { return done_; }

 private:
  // Record header 5, handshake header 4, version 2, random 32.
  static constexpr size_t kPrefix = 11;
  static constexpr size_t kSize = kPrefix + 32;

  std::array<uint8_t, kSize> held_{};  // what may be the beginning of a ClientHello
  size_t held_size_ = 0;
  size_t seen_ = 0;
  bool done_ = false;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CLIENT_RANDOM_H_
