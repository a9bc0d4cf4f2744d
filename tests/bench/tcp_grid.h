// The product against the kernel's TCP over a grid of links: for every cell and tool the kernel at
// both ends, then the product where the bytes come from, then where they go to, over the same dice.
#ifndef MPTCPTLS_TESTS_BENCH_TCP_GRID_H_
#define MPTCPTLS_TESTS_BENCH_TCP_GRID_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/duel.h"

namespace mptcptls::bench {

struct TcpOptions {
  std::vector<double> rtt_ms = {1, 20, 100};
  std::vector<double> loss_percent = {0, 0.1, 1, 3};
  std::vector<double> reorder_ms = {0, 5};
  std::vector<double> rate_mbit = {10, 100};
  std::vector<Tool> tools = {Tool::kIperf3, Tool::kCurl};
  std::vector<Ours> directions = {Ours::kSends, Ours::kReceives};
  int seconds = 5;  // of each transfer
  int rounds = 3;
  // Further rounds of cells that are below the goal after these: whether that was chance.
  int settle = 8;
  // Cells at a time, each in a lab of its own; fewer where they are fast.
  int jobs = 8;
  uint64_t seed = 1;
};

constexpr double kGoal = 0.85;  // of the kernel's speed, in every cell

// One line of the table.
struct TcpRow {
  Wire wire;
  Tool tool = Tool::kIperf3;
  Ours direction = Ours::kSends;
  // By round.
  std::vector<Speed> kernel, ours;

  double KernelMbit() const;  // medians
  double OursMbit() const;
  // The median over the rounds; 0 when one of ours failed. nullopt where the kernel failed, so that
  // there is nothing to compare with.
  std::optional<double> Ratio() const;
};

struct TcpResults {
  TcpOptions options;
  std::vector<TcpRow> rows;
  double minutes = 0;  // that it took
};

// Reports each cell on stderr as it goes, with what is left to do.
TcpResults MeasureTcp(const TcpOptions& options);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_TCP_GRID_H_
