// mptcptls-bench: how fast the product is beside the kernel, and beside what its design costs at
// least.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <stdexcept>

#include "tests/bench/fairness.h"
#include "tests/bench/multipath.h"
#include "tests/bench/multipath_events.h"
#include "tests/bench/report.h"
#include "tests/bench/shim_cost.h"
#include "tests/bench/tcp_grid.h"
#include "tests/bench/tcp_report.h"
#include "tests/bench/throughput.h"

namespace mptcptls::bench {
namespace {

void WriteJson(const std::string& path, const std::string& json) {
  if (path.empty()) return;
  std::ofstream file(path);
  file << json << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path + ": choose another --json FILE");
}

// Those that are named, in the order in which they are always shown.
template <typename T>
std::vector<T> Chosen(const std::vector<T>& all, const std::vector<std::string>& names) {
  std::vector<T> chosen;
  for (const T& one : all) {
    if (std::find(names.begin(), names.end(), NameOf(one)) != names.end()) chosen.push_back(one);
  }
  return chosen;
}

// Numbers separated by commas; the default is shown.
void AddNumbers(CLI::App* verb, const std::string& name, std::vector<double>* numbers,
                const std::string& what, double least, double most) {
  verb->add_option(name, *numbers, what)
      ->delimiter(',')
      ->check(CLI::Range(least, most))
      ->capture_default_str();
}

// Some of those that are in `*names` already.
void AddNames(CLI::App* verb, const std::string& name, std::vector<std::string>* names,
              const std::string& what) {
  verb->add_option(name, *names, what)->delimiter(',')->check(CLI::IsMember(*names));
}

using Pairs = std::vector<std::pair<double, double>>;

// Of two links, as 10+100.
void AddPairs(CLI::App* verb, const std::string& name, Pairs* pairs, const std::string& what) {
  verb->add_option_function<std::vector<std::string>>(
          name,
          [name, pairs](const std::vector<std::string>& words) {
            pairs->clear();
            for (const std::string& word : words) {
              double first = 0, second = 0;
              char rest = 0;
              if (sscanf(word.c_str(), "%lf+%lf%c", &first, &second, &rest) != 2 || first <= 0 ||
                  second <= 0 || first > 2000 || second > 2000) {
                throw CLI::ValidationError(
                    name, word + " is not of the form 10+100 (of both links, up to 2000)");
              }
              pairs->emplace_back(first, second);
            }
          },
          what)
      ->delimiter(',');
}

// A verb of the command line: its options, and what is done with them.
class Verb {
 public:
  virtual ~Verb() = default;
  virtual CLI::App* Add(CLI::App* app) = 0;
  virtual void Run() = 0;

 protected:
  void AddJson(CLI::App* verb) {
    verb->add_option("--json", json_, "also write all figures to this file");
  }
  std::string json_;
};

class ThroughputVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    options_.task.bytes = 8'000'000'000;
    patience_ = static_cast<int>(options_.patience.count());
    for (const Contender contender : AllContenders()) names_.push_back(NameOf(contender));
    CLI::App* verb = app->add_subcommand(
        "throughput",
        "One stream from host to host, over one path and over two: ours, the kernel's TCP, the "
        "kernel's MPTCP, and the floor of the design. Prints Gbit/s, CPU seconds per GB and the "
        "ratio to kernel TCP. Takes about two minutes.");
    verb->add_option("--size", options_.task.bytes, "bytes per run; 8G, 500M (of 1000)")
        ->transform(CLI::AsSizeValue(true))
        ->check(CLI::PositiveNumber)
        ->default_str("8G");
    verb->add_option("--runs", options_.runs, "runs of each, in turn")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    AddNames(verb, "--only", &names_, "who takes part: ours,tcp,mptcp,floor");
    verb->add_option("--paths", options_.paths, "numbers of paths: 1,2")
        ->delimiter(',')
        ->check(CLI::Range(1, 2));
    verb->add_option("--congestion", options_.task.congestion, "of the kernel's contenders")
        ->capture_default_str();
    verb->add_option("--wait", patience_, "seconds to wait before each run for a quiet machine")
        ->check(CLI::Range(0, 3600))
        ->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    options_.contenders = Chosen(AllContenders(), names_);
    options_.patience = std::chrono::seconds(patience_);
    const Results results = MeasureThroughput(options_);
    printf("%s%s", ToTable(results).c_str(), ToChart(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  ThroughputOptions options_;
  std::vector<std::string> names_;
  int patience_ = 0;
};

class TcpVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    CLI::App* verb = app->add_subcommand(
        "tcp",
        "Ours against the kernel's TCP over one path, by iperf3 and curl, beside kernel to kernel "
        "over the same losses: a table over round trip times, losses, reordering and rates. Takes "
        "about 20 minutes; the options choose cells.");
    AddNumbers(verb, "--delay", &options_.rtt_ms, "round trip times in ms", 0, 2000);
    AddNumbers(verb, "--loss", &options_.loss_percent, "losses in % of packets, each way", 0, 50);
    AddNumbers(verb, "--reorder", &options_.reorder_ms,
               "ms by which packets may overtake each other", 0, 1000);
    AddNumbers(verb, "--rate", &options_.rate_mbit, "rates in Mbit/s", 0.1, 1000);
    AddNames(verb, "--tool", &tools_, "iperf3,curl");
    AddNames(verb, "--direction", &directions_, "what ours does: send,receive");
    verb->add_option("--seconds", options_.seconds, "of each transfer")
        ->check(CLI::Range(1, 600))
        ->capture_default_str();
    verb->add_option("--rounds", options_.rounds, "over all cells; medians are shown")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    verb->add_option("--settle", options_.settle,
                     "more rounds of cells that are below 0.85 after these: chance or not")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    verb->add_option("--jobs", options_.jobs,
                     "slow cells at a time, each in a lab of its own; of fast ones fewer")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    verb->add_option("--seed", options_.seed, "of losses and reordering")->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    RequireContender(Contender::kOurs);
    options_.tools = Chosen<Tool>({Tool::kIperf3, Tool::kCurl}, tools_);
    options_.directions = Chosen<Ours>({Ours::kSends, Ours::kReceives}, directions_);
    const TcpResults results = MeasureTcp(options_);
    printf("%s", ToTable(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  TcpOptions options_;
  std::vector<std::string> tools_ = {"iperf3", "curl"};
  std::vector<std::string> directions_ = {"send", "receive"};
};

class FairnessVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    CLI::App* verb = app->add_subcommand(
        "fairness",
        "One upload of ours beside one of the kernel's over the same bottleneck, and two of the "
        "kernel's for comparison. Takes about two minutes.");
    AddNumbers(verb, "--delay", &options_.rtt_ms, "round trip times in ms", 0, 2000);
    AddNumbers(verb, "--rate", &options_.rate_mbit, "rates in Mbit/s", 0.1, 1000);
    verb->add_option("--seconds", options_.seconds, "of each run")
        ->check(CLI::Range(1, 600))
        ->capture_default_str();
    verb->add_option("--rounds", options_.rounds, "runs of each, in turn")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    RequireContender(Contender::kOurs);
    const FairnessResults results = MeasureFairness(options_);
    printf("%s", ToTable(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  FairnessOptions options_;
};

class MultipathVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    CLI::App* verb = app->add_subcommand(
        "multipath",
        "Two links of all rates, round trip times and losses: ours, the kernel's MPTCP, and its "
        "TCP "
        "on each link alone. Takes about 20 minutes; the options choose cells.");
    AddPairs(verb, "--rate", &options_.rate_mbit, "Mbit/s of the links: 10+10,100+20");
    AddPairs(verb, "--delay", &options_.rtt_ms, "round trip times in ms: 10+10,30+300");
    AddNumbers(verb, "--loss", &options_.loss_percent, "losses in % of packets, each way", 0, 50);
    verb->add_option("--seconds", options_.seconds, "of each transfer")
        ->check(CLI::Range(1, 600))
        ->capture_default_str();
    verb->add_option("--rounds", options_.rounds, "over all cells; medians are shown")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    verb->add_option("--jobs", options_.jobs, "labs at a time; of fast links fewer")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    verb->add_option("--seed", options_.seed, "of losses")->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    RequireContender(Contender::kOurs);
    const MultipathResults results = MeasureMultipath(options_);
    printf("%s", ToTable(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  MultipathOptions options_;
};

class EventsVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    CLI::App* verb = app->add_subcommand(
        "events",
        "How long a program waits when one of two links dies in the middle of a transfer, ours "
        "beside the kernel's MPTCP, and how soon after a TLS handshake the second path carries "
        "data. Takes about eight minutes.");
    AddPairs(verb, "--delay", &options_.rtt_ms, "round trip times in ms: 10+10,30+300");
    verb->add_option("--rounds", options_.rounds, "over all rows; medians are shown")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    RequireContender(Contender::kOurs);
    const EventResults results = MeasureEvents(options_);
    printf("%s", ToTable(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  EventOptions options_;
};

class ShimVerb : public Verb {
 public:
  CLI::App* Add(CLI::App* app) override {
    CLI::App* verb = app->add_subcommand(
        "shim",
        "What the preloaded library costs a program: start, connect(), first byte, connections in "
        "a "
        "second, memory, each beside the same without it. Takes about two minutes.");
    verb->add_option("--rounds", options_.rounds, "medians are shown")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    verb->add_option("--starts", options_.starts, "programs started in a round")
        ->check(CLI::Range(5, 100000))
        ->capture_default_str();
    verb->add_option("--connections", options_.connections, "made in a round, one by one")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    verb->add_option("--rate", options_.rate, "made in a round, eight at a time")
        ->check(CLI::Range(8, 1000000))
        ->capture_default_str();
    AddJson(verb);
    return verb;
  }

  void Run() override {
    RequireContender(Contender::kOurs);
    const ShimResults results = MeasureShim(options_);
    printf("%s", ToTable(results).c_str());
    WriteJson(json_, ToJson(results));
  }

 private:
  ShimOptions options_;
};

}  // namespace
}  // namespace mptcptls::bench

int main(int argc, char** argv) {
  using namespace mptcptls::bench;
  ThroughputVerb throughput;
  TcpVerb tcp;
  FairnessVerb fairness;
  MultipathVerb multipath;
  EventsVerb events;
  ShimVerb shim;
  CLI::App app("Benchmarks of libmptcptls, in network namespaces of their own. Needs root.",
               "bench.sh");
  // None is an error too, but only after an unknown one was named.
  app.require_subcommand(0, 1);
  std::map<CLI::App*, Verb*> verbs;
  for (Verb* verb :
       std::initializer_list<Verb*>{&throughput, &tcp, &fairness, &multipath, &events, &shim}) {
    verbs[verb->Add(&app)] = verb;
  }
  CLI11_PARSE(app, argc, argv);
  if (app.get_subcommands().empty()) {
    fprintf(
        stderr,
        "bench: what shall be measured? throughput, tcp, fairness, multipath, events or shim; see "
        "--help\n");
    return 1;
  }
  try {
    verbs.at(app.get_subcommands().front())->Run();
  } catch (const std::exception& error) {
    fprintf(stderr, "\nbench: %s\n", error.what());
    return 1;
  }
  return 0;
}
