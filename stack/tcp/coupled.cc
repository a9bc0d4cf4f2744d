#include "stack/tcp/coupled.h"

#include <algorithm>

namespace mptcptls {

void Coupled::Tell(Time now, uint32_t bytes, Duration srtt, uint32_t window) {
  self_.since_loss += bytes;
  self_.heard = now;
  self_.window = window;
  self_.rtt = std::chrono::duration<double>(srtt).count();
  self_.counts = self_.rtt > 0;
}

int64_t Coupled::Growth(Time, uint32_t bytes, Duration) {
  const double increase = self_.counts ? Increase() : 1.0 / cwnd_;
  fraction_ += increase * bytes * mss_;
  const auto whole = static_cast<int64_t>(fraction_);
  fraction_ -= static_cast<double>(whole);
  return whole;
}

double Coupled::SumOfRates() const {
  double sum = 0;
  group_->ForEach(self_, [&](const CongestionGroup::Member& m) { sum += m.rate(); });
  return sum;
}

double Coupled::GreatestRate() const {
  double most = 0;
  group_->ForEach(self_,
                  [&](const CongestionGroup::Member& m) { most = std::max(most, m.rate()); });
  return most;
}

}  // namespace mptcptls
