#include "tests/bench/report.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/bench/format.h"
#include "tests/bench/spread.h"

namespace mptcptls::bench {
namespace {

constexpr int kBarLength = 44;
// The part of the machine taken by its hypervisor from which on the figures deserve a warning.
constexpr double kQuietStolen = 0.05;

std::vector<double> Each(const Row& row, const std::function<double(const Sample&)>& figure) {
  std::vector<double> values;
  for (const Sample& sample : row.samples) values.push_back(figure(sample));
  return values;
}

std::vector<double> Gbit(const Row& row) {
  return Each(row, [](const Sample& s) { return s.transfer.GbitPerSecond(); });
}

std::vector<double> ProcessorSeconds(const Row& row) {
  return Each(row, [](const Sample& s) { return s.transfer.ProcessorSecondsPerGb(); });
}

std::vector<double> Shares(const Row& row) {
  return Each(row, [](const Sample& s) { return s.second_link_share; });
}

// Throughput by that of the kernel's TCP in the same round over the same paths; empty where TCP was
// not measured.
std::vector<double> Ratios(const Results& results, const Row& row) {
  const auto tcp = std::find_if(results.rows.begin(), results.rows.end(), [&](const Row& other) {
    return other.contender == Contender::kTcp && other.paths == row.paths;
  });
  if (tcp == results.rows.end()) return {};
  std::vector<double> ratios = Gbit(row);
  const std::vector<double> base = Gbit(*tcp);
  for (size_t i = 0; i < ratios.size(); ++i) ratios[i] /= base[i];
  return ratios;
}

std::string Cell(const std::vector<double>& values) {
  if (values.empty()) return "-";
  const Spread spread = SpreadOf(values);
  return Format("%.2f (%.2f .. %.2f)", spread.median, spread.low, spread.high);
}

double StolenPart(const Results& results) {
  double stolen = 0;
  double seconds = 0;
  for (const Row& row : results.rows) {
    for (const Sample& sample : row.samples) {
      stolen += sample.transfer.processors.stolen;
      seconds += sample.transfer.seconds;
    }
  }
  return seconds > 0 ? stolen / seconds / static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)) : 0;
}

std::string Caption(const Results& results) {
  const Spread background = SpreadOf(results.background_cores);
  const double stolen = StolenPart(results);
  std::string text = Format(
      "\n  Median (lowest .. highest) of %d run%s of %.3g GB (10^9 bytes) each, in turn, from one\n"
      "  host to the other in an unshaped lab, both on the same %ld cores; %s in the kernel.\n"
      "  CPU s/GB: seconds that all cores of the machine together were busy (user, nice, system,\n"
      "  irq, softirq of /proc/stat), from the first byte to the last, per GB: programs, engines\n"
      "  and the kernel's work for both hosts, and whatever else ran meanwhile.\n"
      "  of TCP: throughput by that of the kernel's TCP in the same round.\n",
      results.options.runs, results.options.runs == 1 ? "" : "s",
      static_cast<double>(results.options.task.bytes) / 1e9, sysconf(_SC_NPROCESSORS_ONLN),
      results.options.task.congestion.c_str());
  text += Format(
      "  Before the runs others kept %.2f cores busy (at most %.2f); during them the hypervisor\n"
      "  took %.1f%% of the machine.\n",
      background.median, background.high, stolen * 100);
  if (background.high > kQuietCores || stolen > kQuietStolen) {
    text += "  NOT A QUIET MACHINE: trust ratios and the best runs, and measure again.\n";
  }
  for (const Contender contender : results.options.contenders) {
    text += Format("  %-6s %s\n", NameOf(contender).c_str(), DescribeOf(contender).c_str());
  }
  return text;
}

}  // namespace

std::string ToTable(const Results& results) {
  std::string text = Format("\n  %-5s  %-6s  %-22s  %-20s  %-20s  %s\n", "paths", "who", "Gbit/s",
                            "CPU s/GB", "of TCP", "on path 2");
  for (const Row& row : results.rows) {
    const Spread second = SpreadOf(Shares(row));
    const std::string share = row.paths == 1 ? "-"
                                             : Format("%.0f %% (%.0f .. %.0f)", second.median * 100,
                                                      second.low * 100, second.high * 100);
    text +=
        Format("  %-5d  %-6s  %-22s  %-20s  %-20s  %s\n", row.paths, NameOf(row.contender).c_str(),
               Cell(Gbit(row)).c_str(), Cell(ProcessorSeconds(row)).c_str(),
               Cell(Ratios(results, row)).c_str(), share.c_str());
  }
  return text + Caption(results);
}

std::string ToChart(const Results& results) {
  double most = 0;
  for (const Row& row : results.rows) most = std::max(most, SpreadOf(Gbit(row)).median);
  std::string text;
  int paths = 0;
  for (const Row& row : results.rows) {
    if (row.paths != paths) {
      paths = row.paths;
      text += Format("\n  Gbit/s over %s\n", paths == 1 ? "one path" : "two paths");
    }
    const double gbit = SpreadOf(Gbit(row)).median;
    const auto length = static_cast<size_t>(most > 0 ? gbit / most * kBarLength + 0.5 : 0);
    text += Format("  %-6s |%-*s %6.2f\n", NameOf(row.contender).c_str(), kBarLength,
                   std::string(length, '#').c_str(), gbit);
  }
  return text;
}

std::string ToJson(const Results& results) {
  const auto summary = [](const std::vector<double>& values) {
    const Spread spread = SpreadOf(values);
    return nlohmann::json{
        {"median", spread.median}, {"low", spread.low}, {"high", spread.high}, {"all", values}};
  };
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : results.rows) {
    rows.push_back({{"paths", row.paths},
                    {"who", NameOf(row.contender)},
                    {"gbit_per_second", summary(Gbit(row))},
                    {"processor_seconds_per_gb", summary(ProcessorSeconds(row))},
                    {"of_tcp", summary(Ratios(results, row))},
                    {"second_path_share", summary(Shares(row))}});
  }
  const nlohmann::json all{{"bytes", results.options.task.bytes},
                           {"runs", results.options.runs},
                           {"congestion", results.options.task.congestion},
                           {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
                           {"background_cores", summary(results.background_cores)},
                           {"stolen_part", StolenPart(results)},
                           {"rows", rows}};
  return all.dump(2) + "\n";
}

}  // namespace mptcptls::bench
