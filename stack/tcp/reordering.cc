#include "stack/tcp/reordering.h"

#include <algorithm>
#include <utility>

namespace mptcptls {
namespace {

constexpr uint32_t kMaxMultiplier = 255;  // as Linux's
constexpr int kPersistence = 16;          // RFC 8985 6.2, step 4
constexpr int kMostRoundTrips = 4;        // ours

}  // namespace

void Reordering::OnOvertaken(Duration late) {
  seen_ = true;
  extent_ = std::max(extent_, late);
}

void Reordering::OnRetransmit(Seq begin, Seq end, Time first_sent) {
  sent_[next_] = {begin, end, first_sent};
  next_ = (next_ + 1) % sent_.size();
}

void Reordering::OnRetransmitAgain(Seq begin, Seq end) { Take(begin, end); }

void Reordering::OnOriginal(Duration late, Seq begin, Seq end) {
  Take(begin, end);  // the DSACK that follows is of the needless copy
  latest_ = std::max(latest_, late);
  persists_ = kPersistence;
}

// Each retransmission once: what is reported later is something else.
std::optional<Reordering::Sent> Reordering::Take(Seq begin, Seq end) {
  for (Sent& s : sent_) {
    if (s.first_sent == Time{} || begin < s.begin || s.end < end) continue;
    return std::exchange(s, {});
  }
  return std::nullopt;
}

void Reordering::OnDuplicate(Time now, Duration rtt, Seq begin, Seq end, Seq snd_una, Seq snd_nxt) {
  if (const auto sent = Take(begin, end)) {
    latest_ = std::max<Duration>(latest_, now - sent->first_sent - rtt);
  }
  if (snd_una < round_end_ && persists_ > 0) return;
  multiplier_ = std::min(multiplier_ + 1, kMaxMultiplier);
  round_end_ = snd_nxt;
  persists_ = kPersistence;
}

void Reordering::OnRecovery() {
  extent_before_ = std::exchange(extent_, Duration{0});
  if (persists_ == 0 || --persists_ > 0) return;
  multiplier_ = 1;
  latest_ = Duration{0};
}

Duration Reordering::Window(Duration srtt, Duration min_rtt, Duration most) const {
  const Duration stepped = std::min<Duration>(multiplier_ * (min_rtt / 4), srtt);
  const Duration measured = std::min<Duration>({latest_, kMostRoundTrips * srtt, most});
  return std::max(stepped, measured);
}

}  // namespace mptcptls
