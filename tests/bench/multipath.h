// Two links: what the product makes of both, beside the kernel's MPTCP and its TCP on each link
// alone, over the same losses.
#ifndef MPTCPTLS_TESTS_BENCH_MULTIPATH_H_
#define MPTCPTLS_TESTS_BENCH_MULTIPATH_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/wire.h"

namespace mptcptls::bench {

struct MultipathOptions {
  // Of the two links.
  std::vector<std::pair<double, double>> rate_mbit = {{10, 10}, {50, 50}, {100, 20}};
  std::vector<std::pair<double, double>> rtt_ms = {{10, 10}, {10, 100}, {30, 300}};
  std::vector<double> loss_percent = {0, 1};
  int seconds = 20;  // of each transfer; the second path is there a bit later
  int rounds = 2;
  int jobs = 6;  // labs at a time; fewer where links are fast
  uint64_t seed = 1;
};

enum class Carrier { kFirstAlone, kSecondAlone, kKernel, kOurs };
inline constexpr std::array<Carrier, 4> kCarriers = {Carrier::kFirstAlone, Carrier::kSecondAlone,
                                                     Carrier::kKernel, Carrier::kOurs};

// One line of the table: Mbit/s by carrier and round.
struct MultipathRow {
  std::array<Wire, 2> wires;
  std::array<std::vector<double>, kCarriers.size()> mbit;
  std::vector<std::string> failures;

  double Median(Carrier carrier) const;
  bool Alike() const;   // both links are, and lose nothing
  double Goal() const;  // of the sum of what TCP gets on each
};

struct MultipathResults {
  MultipathOptions options;
  std::vector<MultipathRow> rows;
  double minutes = 0;
};

MultipathResults MeasureMultipath(const MultipathOptions& options);
std::string ToTable(const MultipathResults& results);
std::string ToJson(const MultipathResults& results);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_MULTIPATH_H_
