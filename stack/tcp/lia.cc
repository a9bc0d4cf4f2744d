#include "stack/tcp/lia.h"

#include <algorithm>

namespace mptcptls {

// RFC 6356 3: alpha = cwnd_total * MAX(cwnd_i / rtt_i^2) / (SUM(cwnd_i / rtt_i))^2, and the window
// grows by alpha / cwnd_total, but not faster than 1 / cwnd_i. cwnd_total cancels out.
double Lia::Increase() const {
  double best = 0;
  group().ForEach(
      self(), [&](const CongestionGroup::Member& m) { best = std::max(best, m.rate() / m.rtt); });
  const double sum = SumOfRates();
  return std::min(best / (sum * sum), 1 / self().window);
}

}  // namespace mptcptls
