#include "tests/bench/throughput.h"

#include <poll.h>

#include <cstdio>
#include <memory>

namespace mptcptls::bench {
namespace {

// Long enough for 60 ticks of two cores.
constexpr int kBackgroundMs = 300;

// Looks at the machine while nothing of ours runs.
double MeasureBackground() {
  const Stopwatch stopwatch;
  poll(nullptr, 0, kBackgroundMs);
  const Transfer pause = stopwatch.Stop(0);
  return pause.processors.busy / pause.seconds;
}

// Returns what others are still at when it is quiet, or when patience ends.
double AwaitQuiet(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const double cores = MeasureBackground();
    if (cores <= kQuietCores || std::chrono::steady_clock::now() >= deadline) return cores;
  }
}

std::unique_ptr<lab::Lab> MakeLab(int paths) {
  auto made = std::make_unique<lab::Lab>(lab::LabOptions{.links = paths, .kernel_mptcp = true});
  PrepareKernelMptcp(*made);
  return made;
}

}  // namespace

Results MeasureThroughput(const ThroughputOptions& options) {
  for (const Contender contender : options.contenders) RequireContender(contender);
  Results results{.options = options, .rows = {}, .background_cores = {}};
  std::vector<std::unique_ptr<lab::Lab>> labs;
  for (const int paths : options.paths) {
    labs.push_back(MakeLab(paths));
    for (const Contender contender : options.contenders) {
      results.rows.push_back({.paths = paths, .contender = contender, .samples = {}});
    }
  }
  const size_t all = results.rows.size() * static_cast<size_t>(options.runs);
  size_t done = 0;
  for (int round = 1; round <= options.runs; ++round) {
    for (size_t i = 0; i < results.rows.size(); ++i) {
      Row& row = results.rows[i];
      fprintf(stderr, "  %2zu of %zu  round %d, %-10s %-6s", ++done, all, round,
              row.paths == 1 ? "one path," : "two paths,", NameOf(row.contender).c_str());
      results.background_cores.push_back(AwaitQuiet(options.patience));
      row.samples.push_back(Run(row.contender, *labs[i / options.contenders.size()], options.task));
      const Transfer& transfer = row.samples.back().transfer;
      fprintf(stderr, "%6.1f s  %6.2f Gbit/s\n", transfer.seconds, transfer.GbitPerSecond());
    }
  }
  return results;
}

}  // namespace mptcptls::bench
