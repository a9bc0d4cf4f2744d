// What the preloaded library costs a program: its start, its connections, its memory, each beside
// the same program without it.
#ifndef MPTCPTLS_TESTS_BENCH_SHIM_COST_H_
#define MPTCPTLS_TESTS_BENCH_SHIM_COST_H_

#include <functional>
#include <string>
#include <vector>

namespace mptcptls::bench {

struct ShimOptions {
  int rounds = 5;
  int starts = 100;       // programs started in a round
  int connections = 100;  // made in a round, one after the other
  int rate = 4000;        // made in a round as fast as they come, eight at a time
};

struct ShimRow {
  std::string what, unit;
  // Of ours beside the kernel: empty where there is no goal.
  std::string goal = {};
  std::function<bool(double kernel, double ours)> holds = {};
  std::vector<double> kernel = {}, ours = {};  // a round each
};

struct ShimResults {
  ShimOptions options;
  std::vector<ShimRow> rows;
};

ShimResults MeasureShim(const ShimOptions& options);
std::string ToTable(const ShimResults& results);
std::string ToJson(const ShimResults& results);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_SHIM_COST_H_
