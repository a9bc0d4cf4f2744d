#include "tests/bench/shim_cost.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "tests/bench/duel.h"
#include "tests/bench/format.h"
#include "tests/bench/spread.h"
#include "tests/netns/product.h"

namespace mptcptls::bench {
namespace {

using nlohmann::json;

constexpr char kPort[] = "5300";
constexpr int kAtATime = 8;
constexpr Wire kOneMillisecond{.rtt_ms = 1, .rate_mbit = 1000};
constexpr Wire kNoDelay{.rate_mbit = 1000};
constexpr std::chrono::seconds kDeadline{120};
constexpr double kMostStartUs = 1000, kMostOfFirstByte = 1.15;

std::string Probe() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bench_shim";
}

std::vector<std::string> Environment(bool ours) {
  return ours ? lab::Product::Environment() : std::vector<std::string>();
}

// ---- Starting

// Microseconds until the program was started and had ended.
double StartOnce(const std::vector<std::string>& argv, const std::vector<std::string>& env) {
  std::vector<char*> arguments, variables;
  for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : env) variables.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const auto began = std::chrono::steady_clock::now();
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), argv[0]);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0)
    throw std::runtime_error(argv[0] + " failed: run it by hand");
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
  return took.count();
}

double StartUs(const std::vector<std::string>& argv, bool ours, int times) {
  std::vector<double> all;
  for (int i = 0; i < times; ++i) all.push_back(StartOnce(argv, Environment(ours)));
  return SpreadOf(all).median;
}

// ---- Connections

std::unique_ptr<lab::Child> Serve(const lab::Host& host, bool ours) {
  auto server = host.Start({.argv = {Probe(), "serve", kPort}, .env = Environment(ours)});
  if (!lab::Eventually([&] { return server->out().find("listening") != std::string::npos; }))
    throw std::runtime_error("the server does not listen: " + server->err());
  return server;
}

struct Connecting {
  double connect_us = 0, first_byte_us = 0, per_second = 0;
};

Connecting Connect(const lab::Lab& lab, bool ours, int connections, int at_a_time) {
  const auto server = Serve(lab.server(), ours);
  const auto client = lab.client().Start(
      {.argv = {Probe(), "connect", lab.Address(lab.server(), 1, lab::Family::kV4), kPort,
                std::to_string(connections), std::to_string(at_a_time)},
       .env = Environment(ours)});
  if (client->Wait(kDeadline) != 0)
    throw std::runtime_error("bench_shim connect failed: " + client->err() + server->err());
  const json said = json::parse(client->out());
  return {.connect_us = said.at("connect_us"),
          .first_byte_us = said.at("first_byte_us"),
          .per_second = said.at("per_second")};
}

// ---- Memory

// KiB that this process alone has.
double PrivateKib(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  double sum = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double kib = 0;
    if (words >> name >> kib && name.starts_with("Private_")) sum += kib;
  }
  return sum;
}

double IdleKib(const lab::Lab& lab, bool ours, bool connected) {
  const auto server = Serve(lab.server(), ours);
  std::vector<std::string> argv = {Probe(), "idle"};
  if (connected) {
    argv.push_back(lab.Address(lab.server(), 1, lab::Family::kV4));
    argv.emplace_back(kPort);
  }
  const auto program = lab.client().Start({.argv = argv, .env = Environment(ours)});
  if (!lab::Eventually([&] { return program->out().find("ready") != std::string::npos; }))
    throw std::runtime_error("bench_shim idle failed: " + program->err());
  return PrivateKib(program->pid());
}

std::vector<ShimRow> Rows() {
  const auto start = [](double kernel, double ours) { return ours - kernel < kMostStartUs; };
  const auto first = [](double kernel, double ours) { return ours <= kernel * kMostOfFirstByte; };
  return {{.what = "start of true", .unit = "us", .goal = "under 1000 us more", .holds = start},
          {.what = "start of curl --version", .unit = "us"},
          {.what = "connect(), 1 ms path", .unit = "us"},
          {.what = "connect() to first byte, 1 ms path",
           .unit = "us",
           .goal = "at most 1.15 of it",
           .holds = first},
          {.what = "connections, eight at a time", .unit = "per s"},
          {.what = "memory, no socket", .unit = "KiB"},
          {.what = "memory, one connection", .unit = "KiB"}};
}

std::vector<double> MeasureOnce(Duel* duel, const ShimOptions& options, bool ours, uint64_t seed) {
  std::vector<double> values = {StartUs({"/bin/true"}, ours, options.starts),
                                StartUs({"/usr/bin/curl", "--version"}, ours, options.starts / 5)};
  duel->Set(kOneMillisecond, seed);
  const Connecting one = Connect(duel->lab(), ours, options.connections, 1);
  values.insert(values.end(), {one.connect_us, one.first_byte_us});
  duel->Set(kNoDelay, seed);
  values.push_back(Connect(duel->lab(), ours, options.rate, kAtATime).per_second);
  for (const bool connected : {false, true})
    values.push_back(IdleKib(duel->lab(), ours, connected));
  return values;
}

}  // namespace

ShimResults MeasureShim(const ShimOptions& options) {
  ShimResults results{.options = options, .rows = Rows()};
  Duel duel;
  for (int round = 0; round < options.rounds; ++round) {
    for (const bool ours : {false, true}) {
      const std::vector<double> values =
          MeasureOnce(&duel, options, ours, static_cast<uint64_t>(round) + 1);
      for (size_t i = 0; i < values.size(); ++i) {
        ShimRow& row = results.rows[i];
        (ours ? row.ours : row.kernel).push_back(values[i]);
      }
    }
    duel.Settle();
    fprintf(stderr, "  round %d of %d\n", round + 1, options.rounds);
  }
  return results;
}

std::string ToTable(const ShimResults& results) {
  std::string text = Format("\n%-36s %10s %10s %12s %7s  %s\n", "", "without", "preloaded",
                            "difference", "ratio", "goal");
  for (const ShimRow& row : results.rows) {
    const double kernel = SpreadOf(row.kernel).median, ours = SpreadOf(row.ours).median;
    const std::string goal =
        row.goal.empty() ? "" : row.goal + (row.holds(kernel, ours) ? ": met" : ": NOT MET");
    text += Format("%-36s %10.0f %10.0f %+6.0f %-5s %7.2f  %s\n", row.what.c_str(), kernel, ours,
                   ours - kernel, row.unit.c_str(), ours / kernel, goal.c_str());
  }
  text += Format(
      "\n  Median of %d rounds. The server has what the client has; a connection carries a byte\n"
      "  each way. Memory is what the process alone has; the engine's is its own.\n",
      results.options.rounds);
  return text;
}

std::string ToJson(const ShimResults& results) {
  json rows = json::array();
  for (const ShimRow& row : results.rows)
    rows.push_back({{"what", row.what},
                    {"unit", row.unit},
                    {"goal", row.goal},
                    {"kernel", row.kernel},
                    {"ours", row.ours}});
  return json{{"rows", rows}}.dump(1) + "\n";
}

}  // namespace mptcptls::bench
