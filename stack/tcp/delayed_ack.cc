#include "stack/tcp/delayed_ack.h"

namespace mptcptls {

void DelayedAck::OnData(Time now, size_t bytes, bool push, Duration rto) {
  // What is larger than a packet came joined (GRO), and says nothing of the packets' size. Two of
  // the same size with more to come are full ones, also when they are smaller than those before.
  const auto size = static_cast<uint32_t>(std::min<size_t>(bytes, most_ + 1));
  if (size <= most_ && (size >= segment_ || (size == last_size_ && !push))) {
    segment_ = std::max(size, std::min(kSmallestMss, most_));
  }
  last_size_ = size;
  if (last_ == kNever) {
    timeout_ = kLeast;
  } else {
    const Duration gap = now - last_;
    if (gap <= kLeast / 2) {
      timeout_ = timeout_ / 2 + kLeast / 2;
    } else if (gap < timeout_) {
      timeout_ = std::min(timeout_ / 2 + gap, rto);
    } else if (gap > rto) {
      quick_ = kQuick;  // RFC 5681 4.1: the peer begins with a small window again
    }
  }
  last_ = now;
}

void DelayedAck::OnTimer(Duration rto) {
  timeout_ = conversation_ ? kLeast : std::min(2 * timeout_, rto);
  conversation_ = false;
}

Duration DelayedAck::Wait(Duration srtt) const {
  Duration wait = std::max(timeout_, kLeast);
  // A peer that waits a round trip for everything should not wait for another.
  if (srtt > Duration::zero()) wait = std::min(wait, std::max(srtt, kLeast));
  return std::min(wait, kMost);
}

}  // namespace mptcptls
