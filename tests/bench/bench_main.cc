// mptcptls-bench: how fast the product is beside the kernel, and beside what its design costs at
// least.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "tests/bench/report.h"
#include "tests/bench/throughput.h"

namespace mptcptls::bench {
namespace {

void WriteJson(const std::string& path, const Results& results) {
  std::ofstream file(path);
  file << ToJson(results) << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path + ": choose another --json FILE");
}

int Throughput(const ThroughputOptions& options, const std::string& json) {
  const Results results = MeasureThroughput(options);
  printf("%s%s", ToTable(results).c_str(), ToChart(results).c_str());
  if (!json.empty()) WriteJson(json, results);
  return 0;
}

// The contenders by their names, in the order in which they are always shown.
std::vector<Contender> ToContenders(const std::vector<std::string>& names) {
  std::vector<Contender> contenders;
  for (const Contender contender : AllContenders()) {
    if (std::find(names.begin(), names.end(), NameOf(contender)) != names.end()) {
      contenders.push_back(contender);
    }
  }
  return contenders;
}

}  // namespace
}  // namespace mptcptls::bench

int main(int argc, char** argv) {
  using namespace mptcptls::bench;
  ThroughputOptions options;
  options.task.bytes = 8'000'000'000;
  std::vector<std::string> names;
  for (const Contender contender : AllContenders()) names.push_back(NameOf(contender));
  const std::vector<std::string> all_names = names;
  std::string json;
  int patience = static_cast<int>(options.patience.count());

  CLI::App app("Benchmarks of libmptcptls, in network namespaces of their own. Needs root.",
               "bench.sh");
  app.require_subcommand(1);
  CLI::App* throughput = app.add_subcommand(
      "throughput",
      "One stream from host to host, over one path and over two: ours, the kernel's TCP, the "
      "kernel's MPTCP, and the floor of the design. Prints Gbit/s, CPU seconds per GB and the "
      "ratio to kernel TCP. Takes about two minutes.");
  throughput->add_option("--size", options.task.bytes, "bytes per run; 8G, 500M (of 1000)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber)
      ->default_str("8G");
  throughput->add_option("--runs", options.runs, "runs of each, in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  throughput->add_option("--only", names, "who takes part: ours,tcp,mptcp,floor")
      ->delimiter(',')
      ->check(CLI::IsMember(all_names));
  throughput->add_option("--paths", options.paths, "numbers of paths: 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 2));
  throughput->add_option("--congestion", options.task.congestion, "of the kernel's contenders")
      ->capture_default_str();
  throughput->add_option("--wait", patience, "seconds to wait before each run for a quiet machine")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  throughput->add_option("--json", json, "also write all figures to this file");
  CLI11_PARSE(app, argc, argv);
  options.contenders = ToContenders(names);
  options.patience = std::chrono::seconds(patience);
  try {
    return Throughput(options, json);
  } catch (const std::exception& error) {
    fprintf(stderr, "\nbench: %s\n", error.what());
    return 1;
  }
}
