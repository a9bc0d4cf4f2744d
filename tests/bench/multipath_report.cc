#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/bench/format.h"
#include "tests/bench/multipath.h"
#include "tests/bench/spread.h"

namespace mptcptls::bench {
namespace {

using nlohmann::json;

constexpr double kLeastOfBetter = 0.95;

// What the product reached, by what there was to reach.
struct Ratios {
  double sum, better, kernel;
};

Ratios RatiosOf(const MultipathRow& row) {
  const double first = row.Median(Carrier::kFirstAlone), second = row.Median(Carrier::kSecondAlone);
  const double ours = row.Median(Carrier::kOurs), kernel = row.Median(Carrier::kKernel);
  const auto by = [ours](double other) { return other > 0 ? ours / other : 0; };
  return {by(first + second), by(std::max(first, second)), by(kernel)};
}

std::string Links(const MultipathRow& row) {
  return Format(
      "  %7s  %7s  %4g", Format("%g+%g", row.wires[0].rate_mbit, row.wires[1].rate_mbit).c_str(),
      Format("%g+%g", row.wires[0].rtt_ms, row.wires[1].rtt_ms).c_str(), row.wires[0].loss_percent);
}

}  // namespace

std::string ToTable(const MultipathResults& results) {
  std::string text =
      "\n     rate      RTT  loss    link 1   link 2  kernel's MPTCP     ours    of sum  goal  of "
      "better  of kernel\n";
  std::vector<double> of_kernel;
  size_t below_sum = 0, below_better = 0;
  std::string failures;
  for (const MultipathRow& row : results.rows) {
    const Ratios ratios = RatiosOf(row);
    text += Links(row) + Format("  %8.2f %8.2f  %14.2f  %7.2f    %6.2f  %4.2f  %9.2f  %9.2f\n",
                                row.Median(Carrier::kFirstAlone), row.Median(Carrier::kSecondAlone),
                                row.Median(Carrier::kKernel), row.Median(Carrier::kOurs),
                                ratios.sum, row.Goal(), ratios.better, ratios.kernel);
    of_kernel.push_back(ratios.kernel);
    below_sum += ratios.sum < row.Goal();
    below_better += ratios.better < kLeastOfBetter;
    for (const std::string& failure : row.failures) failures += Links(row) + "  " + failure + "\n";
  }
  text += Format(
      "\n  Two links, an upload from host to host; Mbit/s of data in %d s from the first byte on,\n"
      "  median of %d round%s. link 1, link 2: the kernel's TCP on one alone; sum: of both.\n"
      "  rate in Mbit/s and RTT in ms of each, with a queue of one bandwidth-delay product; loss\n"
      "  in %% each way. Took %.0f min.\n\n",
      results.options.seconds, results.options.rounds, results.options.rounds == 1 ? "" : "s",
      results.minutes);
  text += Format(
      "  %zu of %zu below the goal for the sum, %zu below %.2f of the better link; median of the "
      "kernel's MPTCP: %.2f\n",
      below_sum, results.rows.size(), below_better, kLeastOfBetter, SpreadOf(of_kernel).median);
  if (!failures.empty()) text += "  failed:\n" + failures;
  return text;
}

std::string ToJson(const MultipathResults& results) {
  json rows = json::array();
  for (const MultipathRow& row : results.rows) {
    const Ratios ratios = RatiosOf(row);
    rows.push_back({{"rate_mbit", {row.wires[0].rate_mbit, row.wires[1].rate_mbit}},
                    {"rtt_ms", {row.wires[0].rtt_ms, row.wires[1].rtt_ms}},
                    {"loss_percent", row.wires[0].loss_percent},
                    {"first_alone_mbit", row.mbit[0]},
                    {"second_alone_mbit", row.mbit[1]},
                    {"kernel_mbit", row.mbit[2]},
                    {"ours_mbit", row.mbit[3]},
                    {"of_sum", ratios.sum},
                    {"of_better", ratios.better},
                    {"of_kernel", ratios.kernel},
                    {"failures", row.failures}});
  }
  return json{{"rows", rows}, {"minutes", results.minutes}}.dump(1) + "\n";
}

}  // namespace mptcptls::bench
