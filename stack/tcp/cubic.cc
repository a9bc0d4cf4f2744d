#include "stack/tcp/cubic.h"

#include <algorithm>
#include <cmath>

namespace mptcptls {

int64_t Cubic::Growth(Time now, uint32_t bytes, Duration srtt) {
  const double mss = mss_, window = cwnd_ / mss, acked = bytes / mss;
  if (epoch_.start == kNever) {  // RFC 9438 4.2: a new congestion avoidance epoch
    epoch_.start = now;
    if (window < epoch_.w_max) {
      epoch_.k = std::cbrt((epoch_.w_max - window) / kC);
    } else {
      epoch_.k = 0;
      epoch_.w_max = window;
    }
    epoch_.w_est = window;
    fraction_ = 0;
  }
  const double t = std::chrono::duration<double>(now - epoch_.start + srtt).count() - epoch_.k;
  const double target = std::clamp(epoch_.w_max + kC * t * t * t, window, 1.5 * window);
  // RFC 9438 4.3: as fast as Reno would be, at least.
  const double alpha = epoch_.w_est < epoch_.cwnd_prior ? 3 * (1 - kBeta) / (1 + kBeta) : 1;
  epoch_.w_est += alpha * acked / window;
  const double grown =
      epoch_.w_est > target ? epoch_.w_est - window : (target - window) / window * acked;
  fraction_ += std::max(0.0, grown) * mss;
  const auto whole = static_cast<uint32_t>(fraction_);
  fraction_ -= whole;
  return whole;
}

// RFC 9438 4.6 and 4.7
uint32_t Cubic::Reduced(uint32_t in_flight) {
  const double window = static_cast<double>(cwnd_) / mss_;
  epoch_.cwnd_prior = window;
  // Fast convergence: give room to newcomers.
  epoch_.w_max = window < epoch_.w_max ? window * (1 + kBeta) / 2 : window;
  epoch_.start = kNever;
  const uint32_t base = std::min(cwnd_, std::max(in_flight, cwnd_ / 2));
  return static_cast<uint32_t>(base * kBeta);
}

}  // namespace mptcptls
