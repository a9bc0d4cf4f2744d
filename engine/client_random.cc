#include "engine/client_random.h"

#include <algorithm>
#include <cstring>

namespace mptcptls {
namespace {

constexpr uint8_t kHandshakeRecord = 22;  // RFC 8446 5.1
constexpr uint8_t kClientHello = 1;

// Whether `bytes` may be the beginning of a ClientHello's record, as far as they go.
bool MayBegin(const uint8_t* bytes, size_t size) {
  // type, legacy record version 3.0 to 3.4, length 2, message type, length 3 (its first byte 0: no
  // ClientHello is longer than 64 KiB), legacy version 3.1 to 3.3.
  const auto is = [&](size_t at, uint8_t low, uint8_t high) {
    return at >= size || (bytes[at] >= low && bytes[at] <= high);
  };
  return is(0, kHandshakeRecord, kHandshakeRecord) && is(1, 3, 3) && is(2, 0, 4) &&
         is(5, kClientHello, kClientHello) && is(6, 0, 0) && is(9, 3, 3) && is(10, 1, 3);
}

}  // namespace

std::optional<ClientRandom> ClientRandomFinder::Feed(ByteSpan bytes) {
  size_t at = 0;
  while (!done_ && at < bytes.size()) {
    if (held_size_ == 0) {
      const void* start = memchr(bytes.data() + at, kHandshakeRecord, bytes.size() - at);
      if (start == nullptr) break;
      at = static_cast<size_t>(static_cast<const uint8_t*>(start) - bytes.data());
    }
    const size_t more = std::min(kSize - held_size_, bytes.size() - at);
    memcpy(held_.data() + held_size_, bytes.data() + at, more);
    held_size_ += more;
    at += more;
    // Not here: the next place in what is held where it may begin.
    size_t skip = 0;
    while (skip < held_size_ && !MayBegin(held_.data() + skip, held_size_ - skip)) ++skip;
    if (skip > 0) {
      held_size_ -= skip;
      memmove(held_.data(), held_.data() + skip, held_size_);
      continue;
    }
    if (held_size_ < kSize) break;
    done_ = true;
    ClientRandom random;
    memcpy(random.data(), held_.data() + kPrefix, random.size());
    return random;
  }
  seen_ += bytes.size();
  if (seen_ >= kLimit) done_ = true;
  return std::nullopt;
}

}  // namespace mptcptls
