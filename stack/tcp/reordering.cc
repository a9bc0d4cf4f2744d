#include "stack/tcp/reordering.h"

#include <algorithm>

namespace mptcptls {
namespace {

constexpr uint32_t kMaxMultiplier = 255;  // as Linux's
constexpr int kPersistence = 16;          // RFC 8985 6.2, step 4
constexpr int kMostRoundTrips = 4;        // ours

}  // namespace

void Reordering::OnRetransmit(Seq begin, Seq end, Time first_sent) {
  sent_[next_] = {begin, end, first_sent};
  next_ = (next_ + 1) % sent_.size();
}

void Reordering::OnOriginal(Time now, Seq begin, Seq end) {
  if (Measure(now, begin, end)) persists_ = kPersistence;
}

// Each retransmission once: what is reported later is something else.
bool Reordering::Measure(Time now, Seq begin, Seq end) {
  for (Sent& s : sent_) {
    if (s.first_sent == Time{} || begin < s.begin || s.end < end) continue;
    latest_ = std::max<Duration>(latest_, now - s.first_sent);
    s = {};
    return true;
  }
  return false;
}

void Reordering::OnDuplicate(Time now, Seq begin, Seq end, Seq snd_una, Seq snd_nxt) {
  Measure(now, begin, end);
  if (snd_una < round_end_ && persists_ > 0) return;
  multiplier_ = std::min(multiplier_ + 1, kMaxMultiplier);
  round_end_ = snd_nxt;
  persists_ = kPersistence;
}

void Reordering::OnRecovery() {
  if (persists_ == 0 || --persists_ > 0) return;
  multiplier_ = 1;
  latest_ = Duration{0};
}

Duration Reordering::Window(Duration srtt, Duration min_rtt, Duration most) const {
  const Duration stepped = std::min<Duration>(multiplier_ * (min_rtt / 4), srtt);
  const Duration measured = std::min<Duration>({latest_ - min_rtt, kMostRoundTrips * srtt, most});
  return std::max(stepped, measured);
}

}  // namespace mptcptls
