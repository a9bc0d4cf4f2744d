#include "stack/tcp/cubic.h"

#include <algorithm>
#include <cmath>

namespace mptcptls {

void Cubic::OnAcked(Time now, uint32_t bytes, Duration srtt) {
  if (in_slow_start()) {
    const uint32_t growth = css_rounds_ > 0 ? bytes / kConservativeDivisor : bytes;
    cwnd_ += std::min(growth, ssthresh_ - cwnd_);
    return;
  }
  const double mss = mss_, window = cwnd_ / mss, acked = bytes / mss;
  if (epoch_ == kNever) {  // RFC 9438 4.2: a new congestion avoidance epoch
    epoch_ = now;
    if (window < w_max_) {
      k_ = std::cbrt((w_max_ - window) / kC);
    } else {
      k_ = 0;
      w_max_ = window;
    }
    w_est_ = window;
    fraction_ = 0;
  }
  const double t = std::chrono::duration<double>(now - epoch_ + srtt).count();
  double target = w_max_ + kC * (t - k_) * (t - k_) * (t - k_);
  target = std::clamp(target, window, 1.5 * window);
  // RFC 9438 4.3: as fast as Reno would be, at least.
  const double alpha = w_est_ < cwnd_prior_ ? 3 * (1 - kBeta) / (1 + kBeta) : 1;
  w_est_ += alpha * acked / window;
  const double grown = w_est_ > target ? w_est_ - window : (target - window) / window * acked;
  fraction_ += std::max(0.0, grown) * mss;
  const auto whole = static_cast<uint32_t>(fraction_);
  fraction_ -= whole;
  cwnd_ += whole;
}

// RFC 9406 4.2: a round whose least round trip time is clearly above that of the round before has
// begun to fill a queue.
void Cubic::OnRound() {
  using std::chrono::milliseconds;
  const Duration now = round_min_, before = last_round_min_;
  last_round_min_ = round_min_;
  round_min_ = Duration::max();
  if (!in_slow_start() || now == Duration::max()) return;
  if (css_rounds_ > 0) {
    if (now < css_base_) {
      css_rounds_ = 0;  // it was a passing thing
    } else if (++css_rounds_ > kConservativeRounds) {
      ssthresh_ = cwnd_;
      css_rounds_ = 0;
    }
    return;
  }
  if (before == Duration::max()) return;
  const Duration step = std::clamp<Duration>(before / 8, milliseconds(4), milliseconds(16));
  if (now >= before + step) {
    css_base_ = now;
    css_rounds_ = 1;
  }
}

void Cubic::OnLoss(uint32_t in_flight) {
  css_rounds_ = 0;
  const double window = static_cast<double>(cwnd_) / mss_;
  cwnd_prior_ = window;
  // Fast convergence (RFC 9438 4.7): give room to newcomers.
  w_max_ = window < w_max_ ? window * (1 + kBeta) / 2 : window;
  const uint32_t base = std::min(cwnd_, std::max(in_flight, cwnd_ / 2));
  ssthresh_ = std::max(static_cast<uint32_t>(base * kBeta), 2 * mss_);
  epoch_ = kNever;
}

void Cubic::OnTimeout(uint32_t in_flight) {
  OnLoss(in_flight);
  cwnd_ = mss_;
}

}  // namespace mptcptls
