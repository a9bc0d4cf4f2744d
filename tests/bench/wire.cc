#include "tests/bench/wire.h"

#include <algorithm>
#include <cmath>

#include "tests/bench/format.h"

namespace mptcptls::bench {
namespace {

constexpr double kFrame = 1514;
constexpr double kLeastFrames = 32;
constexpr double kMathis = 1.22;

}  // namespace

double Wire::QueueBytes() const {
  return std::max(rate_mbit * 1e3 / 8 * rtt_ms, kLeastFrames * kFrame);
}

double Wire::LikelyMbit() const {
  const double most = rate_mbit * kGoodput;
  if (loss_percent <= 0) return most;
  // Two delays of half the reordering on average. Below some milliseconds it is the machine that
  // decides.
  const double seconds = std::max(rtt_ms + reorder_ms, 3.0) / 1e3;
  const double reno = kMathis * kFrame * 8 / (seconds * std::sqrt(loss_percent / 100)) / 1e6;
  return std::min(most, reno);
}

std::string Wire::ToSettings() const {
  return Format("delay_ms=%g jitter_ms=%g reorder=%d loss=%g rate_mbit=%g queue_kb=%g", rtt_ms / 2,
                reorder_ms, reorder_ms > 0 ? 1 : 0, loss_percent / 100, rate_mbit,
                QueueBytes() / 1024);
}

std::string Wire::ToString() const {
  return Format("%3g ms %3g %% %1g ms %3g Mbit/s", rtt_ms, loss_percent, reorder_ms, rate_mbit);
}

}  // namespace mptcptls::bench
