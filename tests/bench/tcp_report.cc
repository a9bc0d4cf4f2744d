#include "tests/bench/tcp_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/bench/format.h"
#include "tests/bench/spread.h"

namespace mptcptls::bench {
namespace {

using nlohmann::json;

// A link without loss and reordering on which even the kernel gets less than this part of the rate
// is this machine's fault.
constexpr double kReached = 0.85;
constexpr double kLeastShare = 0.7, kMostShare = 1.4;

std::string Describe(const TcpRow& row) {
  return row.wire.ToString() + "  " + Format("%-7s", NameOf(row.direction).c_str()) + "  " +
         Format("%-6s", NameOf(row.tool).c_str());
}

std::string Figure(double mbit, const std::vector<Speed>& speeds) {
  const bool failed = std::any_of(speeds.begin(), speeds.end(),
                                  [](const Speed& speed) { return !speed.failure.empty(); });
  return failed ? "failed" : Format("%.2f", mbit);
}

std::string RatioText(const TcpRow& row) {
  const std::optional<double> ratio = row.Ratio();
  return ratio ? Format("%.2f", *ratio) : "-";
}

std::string Line(const TcpRow& row) {
  return Format("  %6g  %6g  %10g  %6g  %-9s  %-6s  %13s  %11s  %5s\n", row.wire.rtt_ms,
                row.wire.loss_percent, row.wire.reorder_ms, row.wire.rate_mbit,
                NameOf(row.direction).c_str(), NameOf(row.tool).c_str(),
                Figure(row.KernelMbit(), row.kernel).c_str(),
                Figure(row.OursMbit(), row.ours).c_str(), RatioText(row).c_str());
}

bool MissesItsRate(const TcpRow& row) {
  return row.wire.loss_percent == 0 && row.wire.reorder_ms == 0 &&
         row.KernelMbit() < kReached * kGoodput * row.wire.rate_mbit;
}

std::string Failures(const TcpRow& row) {
  std::string text;
  for (const std::vector<Speed>* speeds : {&row.kernel, &row.ours}) {
    for (const Speed& speed : *speeds) {
      if (speed.failure.empty()) continue;
      text += "    " + Describe(row) + (speeds == &row.ours ? "  ours: " : "  kernel: ") +
              speed.failure + "\n";
    }
  }
  return text;
}

// A heading with the lines under it; nothing when there are none.
std::string Section(const std::string& heading, const std::string& lines) {
  return lines.empty() ? "" : "  " + heading + ":\n" + lines;
}

std::vector<double> Ratios(const TcpResults& results) {
  std::vector<double> ratios;
  for (const TcpRow& row : results.rows) {
    if (const auto ratio = row.Ratio()) ratios.push_back(*ratio);
  }
  return ratios;
}

std::string Summary(const TcpResults& results) {
  std::vector<const TcpRow*> rows;
  for (const TcpRow& row : results.rows) {
    if (row.Ratio()) rows.push_back(&row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TcpRow* a, const TcpRow* b) { return *a->Ratio() < *b->Ratio(); });
  if (rows.empty()) return "  No cell could be compared.\n";
  std::string text = Format("  median ratio  %.2f  of %zu cells\n  worst cell    %.2f  %s\n",
                            SpreadOf(Ratios(results)).median, rows.size(), *rows.front()->Ratio(),
                            Describe(*rows.front()).c_str());
  std::string below;
  size_t count = 0;
  for (const TcpRow* row : rows) {
    if (*row->Ratio() >= kGoal) break;
    below += Format("    %.2f  %s\n", *row->Ratio(), Describe(*row).c_str());
    ++count;
  }
  text += Section(Format("%zu below %.2f", count, kGoal), below);
  return below.empty() ? text + Format("  no cell below %.2f\n", kGoal) : text;
}

std::string Caption(const TcpResults& results) {
  const TcpOptions& options = results.options;
  return Format(
      "\n  RTT in ms: round trip, half of it each way. loss in %% of packets and reordering in ms "
      "by\n"
      "  which one may overtake another: each way. rate in Mbit/s, with a queue of one bandwidth-\n"
      "  delay product (at least 32 packets). direction: what ours does in it, the other end is "
      "the\n"
      "  kernel's (CUBIC). iperf3 uploads for %d s; curl downloads, over TLS, what takes about as\n"
      "  long, from when the connection is up. Mbit/s of data as the receiving program counts it;\n"
      "  kernel: at both ends, with the same losses. Median of %d round%s; ratio: of each round.\n"
      "  Of cells that were below %.2f after them %d more rounds are counted as well: chance or "
      "not.\n"
      "  Took %.0f min, up to %d at a time.\n\n",
      options.seconds, options.rounds, options.rounds == 1 ? "" : "s", kGoal, options.settle,
      results.minutes, options.jobs);
}

json ToJson(const std::vector<Speed>& speeds) {
  json all = json::array();
  for (const Speed& speed : speeds) {
    if (speed.failure.empty()) {
      all.push_back(speed.mbit);
    } else {
      all.push_back(speed.failure);
    }
  }
  return all;
}

bool Fair(double share) { return share >= kLeastShare && share <= kMostShare; }

}  // namespace

std::string ToTable(const TcpResults& results) {
  std::string text =
      Format("\n  %6s  %6s  %10s  %6s  %-9s  %-6s  %13s  %11s  %5s\n", "RTT", "loss", "reordering",
             "rate", "direction", "tool", "kernel Mbit/s", "ours Mbit/s", "ratio");
  std::string missed, failures;
  std::set<std::string> seen;
  for (const TcpRow& row : results.rows) {
    text += Line(row);
    failures += Failures(row);
    const std::string cell = row.wire.ToString() + "  " + NameOf(row.tool);
    if (MissesItsRate(row) && seen.insert(cell).second) {
      missed += Format("    %s: %.2f Mbit/s\n", cell.c_str(), row.KernelMbit());
    }
  }
  return text + Caption(results) + Summary(results) +
         Section("NOT REACHED BY THE KERNEL EITHER (slow start in a short run, or a busy machine)",
                 missed) +
         Section("FAILED", failures);
}

std::string ToJson(const TcpResults& results) {
  json rows = json::array();
  for (const TcpRow& row : results.rows) {
    const std::optional<double> ratio = row.Ratio();
    rows.push_back({{"rtt_ms", row.wire.rtt_ms},
                    {"loss_percent", row.wire.loss_percent},
                    {"reorder_ms", row.wire.reorder_ms},
                    {"rate_mbit", row.wire.rate_mbit},
                    {"queue_bytes", row.wire.QueueBytes()},
                    {"direction", NameOf(row.direction)},
                    {"tool", NameOf(row.tool)},
                    {"kernel_mbit", ToJson(row.kernel)},
                    {"ours_mbit", ToJson(row.ours)},
                    {"ratio", ratio ? json(*ratio) : json()}});
  }
  const json all{{"seconds", results.options.seconds},
                 {"rounds", results.options.rounds},
                 {"settle", results.options.settle},
                 {"jobs", results.options.jobs},
                 {"seed", results.options.seed},
                 {"minutes", results.minutes},
                 {"median_ratio", SpreadOf(Ratios(results)).median},
                 {"rows", rows}};
  return all.dump(2) + "\n";
}

std::string ToTable(const FairnessResults& results) {
  std::string text = Format("\n  %4s  %4s  %-6s  %12s  %13s  %s\n", "RTT", "rate", "who",
                            "its Mbit/s", "kernel Mbit/s", "share");
  for (const FairnessRow& row : results.rows) {
    for (const FairnessSample& sample : row.samples) {
      if (!sample.failure.empty()) {
        text += Format("  %4g  %4g  %-6s  failed: %s\n", row.wire.rtt_ms, row.wire.rate_mbit,
                       row.ours ? "ours" : "kernel", sample.failure.c_str());
        continue;
      }
      text +=
          Format("  %4g  %4g  %-6s  %12.2f  %13.2f  %5.2f%s\n", row.wire.rtt_ms, row.wire.rate_mbit,
                 row.ours ? "ours" : "kernel", sample.mbit, sample.other_mbit, sample.Share(),
                 row.ours && !Fair(sample.Share()) ? "  outside of 0.7 to 1.4" : "");
    }
  }
  return text +
         Format(
             "\n  Two uploads by iperf3 over one link for %d s, begun together: ours, or the\n"
             "  kernel's as a measure of chance, beside one of the kernel's (CUBIC). RTT in ms,\n"
             "  rate in Mbit/s, a queue of one bandwidth-delay product. share: its speed by\n"
             "  half of both; the goal is 0.7 to 1.4.\n",
             results.options.seconds);
}

std::string ToJson(const FairnessResults& results) {
  json rows = json::array();
  for (const FairnessRow& row : results.rows) {
    json samples = json::array();
    for (const FairnessSample& sample : row.samples) {
      samples.push_back({{"mbit", sample.mbit},
                         {"other_mbit", sample.other_mbit},
                         {"share", sample.Share()},
                         {"failure", sample.failure}});
    }
    rows.push_back({{"rtt_ms", row.wire.rtt_ms},
                    {"rate_mbit", row.wire.rate_mbit},
                    {"who", row.ours ? "ours" : "kernel"},
                    {"samples", samples}});
  }
  return json{{"seconds", results.options.seconds}, {"rows", rows}}.dump(2) + "\n";
}

}  // namespace mptcptls::bench
