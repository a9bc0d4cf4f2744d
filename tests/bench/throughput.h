// The contest: every contender over every number of paths, several times in turn, so that whatever
// else the machine does in these minutes falls on all alike.
#ifndef MPTCPTLS_TESTS_BENCH_THROUGHPUT_H_
#define MPTCPTLS_TESTS_BENCH_THROUGHPUT_H_

#include <chrono>
#include <vector>

#include "tests/bench/contender.h"

namespace mptcptls::bench {

// From so many cores busy with others' work on, the machine is not quiet.
inline constexpr double kQuietCores = 0.15;

struct ThroughputOptions {
  Task task;
  int runs = 3;
  // How long to wait, before each run, for others on this machine to become quiet.
  std::chrono::seconds patience{20};
  std::vector<int> paths = {1, 2};
  std::vector<Contender> contenders = AllContenders();
};

// One line of the table: sample i is of round i.
struct Row {
  int paths = 1;
  Contender contender = Contender::kTcp;
  std::vector<Sample> samples;
};

struct Results {
  ThroughputOptions options;
  std::vector<Row> rows;
  // Right before each run: cores that others kept busy.
  std::vector<double> background_cores;
};

// Reports each run on stderr as it goes.
Results MeasureThroughput(const ThroughputOptions& options);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_THROUGHPUT_H_
