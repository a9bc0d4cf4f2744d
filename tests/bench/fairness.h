// Does a sender of ours leave its neighbour alone? Two uploads over one bottleneck, one of them the
// kernel's.
#ifndef MPTCPTLS_TESTS_BENCH_FAIRNESS_H_
#define MPTCPTLS_TESTS_BENCH_FAIRNESS_H_

#include <string>
#include <vector>

#include "tests/bench/wire.h"

namespace mptcptls::bench {

struct FairnessOptions {
  std::vector<double> rtt_ms = {20};
  std::vector<double> rate_mbit = {20, 100};
  int seconds = 30;
  int rounds = 1;
};

struct FairnessSample {
  double mbit = 0, other_mbit = 0;
  std::string failure;
  // By half of both together: 1 is fair.
  double Share() const { return mbit + other_mbit > 0 ? mbit / ((mbit + other_mbit) / 2) : 0; }
};

struct FairnessRow {
  Wire wire;
  bool ours = true;  // or the kernel's beside the kernel's
  std::vector<FairnessSample> samples;
};

struct FairnessResults {
  FairnessOptions options;
  std::vector<FairnessRow> rows;
};

// Reports each run on stderr as it goes.
FairnessResults MeasureFairness(const FairnessOptions& options);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_FAIRNESS_H_
