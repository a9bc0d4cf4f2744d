#include "tests/bench/fairness.h"

#include <cstdio>

#include "tests/bench/duel.h"
#include "tests/netns/product.h"

namespace mptcptls::bench {
namespace {

constexpr int kPort = 5201, kOtherPort = 5202;

FairnessSample RunBoth(Duel* duel, const FairnessRow& row, int seconds, uint64_t seed) {
  const lab::Lab& lab = duel->lab();
  duel->Set(row.wire, seed);
  const std::string server = lab.Address(lab.server(), 1, lab::Family::kV4);
  const auto first_server = StartIperf3Server(lab.server(), kPort, {});
  const auto other_server = StartIperf3Server(lab.server(), kOtherPort, {});
  const auto first =
      StartIperf3Client(lab.client(), server, kPort, seconds,
                        row.ours ? lab::Product::Environment() : std::vector<std::string>());
  const auto other = StartIperf3Client(lab.client(), server, kOtherPort, seconds, {});
  const Speed speed = FinishIperf3(*first, *first_server, seconds);
  const Speed other_speed = FinishIperf3(*other, *other_server, seconds);
  duel->Settle();
  return {.mbit = speed.mbit,
          .other_mbit = other_speed.mbit,
          .failure = speed.failure.empty() ? other_speed.failure : speed.failure};
}

}  // namespace

FairnessResults MeasureFairness(const FairnessOptions& options) {
  FairnessResults results{.options = options, .rows = {}};
  for (const double rtt : options.rtt_ms) {
    for (const double rate : options.rate_mbit) {
      for (const bool ours : {true, false}) {
        results.rows.push_back(
            {.wire = {.rtt_ms = rtt, .rate_mbit = rate}, .ours = ours, .samples = {}});
      }
    }
  }
  Duel duel;
  const size_t all = results.rows.size() * static_cast<size_t>(options.rounds);
  size_t done = 0;
  for (int round = 0; round < options.rounds; ++round) {
    for (FairnessRow& row : results.rows) {
      const FairnessSample sample =
          RunBoth(&duel, row, options.seconds, static_cast<uint64_t>(round) * 2 + 1);
      row.samples.push_back(sample);
      ++done;
      fprintf(stderr, "  %2zu of %zu  %s  %-6s  share %.2f %s; %zu s left\n", done, all,
              row.wire.ToString().c_str(), row.ours ? "ours" : "kernel", sample.Share(),
              sample.failure.c_str(), (all - done) * static_cast<size_t>(options.seconds + 2));
    }
  }
  return results;
}

}  // namespace mptcptls::bench
