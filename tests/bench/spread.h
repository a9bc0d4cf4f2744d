// What several measurements of the same thing say together.
#ifndef MPTCPTLS_TESTS_BENCH_SPREAD_H_
#define MPTCPTLS_TESTS_BENCH_SPREAD_H_

#include <vector>

namespace mptcptls::bench {

struct Spread {
  double median = 0;  // of an even number, the mean of the two in the middle
  double low = 0;
  double high = 0;
};

// All zero for no values.
Spread SpreadOf(std::vector<double> values);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_SPREAD_H_
