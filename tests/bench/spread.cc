#include "tests/bench/spread.h"

#include <algorithm>

namespace mptcptls::bench {

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
          .low = values.front(),
          .high = values.back()};
}

}  // namespace mptcptls::bench
