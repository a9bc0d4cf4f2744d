// Runs random scenarios: one per seed, each reproducible from it alone.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/sim/random_scenario.h"

namespace mptcptls::sim {
namespace {

struct Options {
  uint64_t first = 1, last = 1000;
  int jobs = 1;
  bool trace = false, hashes = false, summary = false;
};

// Runs one world; true when everything held. `replay`: the arguments that do it again.
bool RunOne(const ScenarioText& text, const std::string& name, const std::string& replay,
            const Options& options) {
  World world(text.scenario, text.seed);
  if (options.trace) {
    world.simulator().trace().set_sink([](const std::string& line) { std::puts(line.c_str()); });
  }
  const std::vector<std::string> failures = world.Run();
  if (options.hashes) {
    std::printf("%s %016llx\n", name.c_str(),
                static_cast<unsigned long long>(world.simulator().trace().hash()));
  }
  if (options.summary) std::fputs(Summary(world).c_str(), stdout);
  if (failures.empty()) return true;
  std::string out = name + " FAILED\n";
  for (const std::string& failure : failures) out += "  " + failure + "\n";
  out += "  replay: scripts/sim.sh " + replay + "\n";
  std::fputs(out.c_str(), stdout);
  std::fflush(stdout);
  return false;
}

bool RunSeed(uint64_t seed, const Options& options) {
  const std::string number = std::to_string(seed);
  return RunOne(RandomScenario(seed), options.hashes ? number : "seed " + number,
                "--seed " + number + " --trace", options);
}

// A file of the scenario language, over each family that it names.
int RunFile(const std::string& path, const Options& options) {
  std::string error;
  auto text = LoadScenario(path, &error);
  if (!text) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  bool held = true;
  for (const Family family : text->families) {
    text->scenario.family = family;
    const std::string name = text->scenario.name + (family == Family::kV4 ? "_v4" : "_v6");
    std::printf("== %s\n", name.c_str());
    held &= RunOne(*text, name, "--scenario " + path + " --trace", options);
  }
  return held ? 0 : 1;
}

// Seeds first + offset, first + offset + step, ...; returns how many failed, 100 at most.
int RunSeeds(const Options& options, uint64_t offset, uint64_t step) {
  int failed = 0;
  for (uint64_t seed = options.first + offset; seed <= options.last; seed += step) {
    failed += !RunSeed(seed, options);
  }
  return std::min(failed, 100);
}

int RunJobs(const Options& options) {
  if (options.jobs <= 1) return RunSeeds(options, 0, 1);
  std::vector<pid_t> children;
  for (int job = 0; job < options.jobs; ++job) {
    const pid_t pid = fork();
    if (pid == 0) {
      const int failed =
          RunSeeds(options, static_cast<uint64_t>(job), static_cast<uint64_t>(options.jobs));
      std::fflush(stdout);
      _exit(failed);
    }
    children.push_back(pid);
  }
  int failed = 0;
  for (const pid_t pid : children) {
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
      std::puts("a process of ours crashed: run with --jobs 1");
      ++failed;
    } else {
      failed += WEXITSTATUS(status);
    }
  }
  return failed;
}

int Main(int argc, char** argv) {
  CLI::App app("Random scenarios on the simulated network, one per seed; or one from a file.");
  Options options;
  std::string range = "1..1000";
  std::string file;
  bool print = false;
  uint64_t one = 0;
  app.add_option("--seeds", range, "A..B, or N for 1..N")->capture_default_str();
  const auto* seed = app.add_option("--seed", one, "run this one only, with a summary");
  const auto* scenario =
      app.add_option("--scenario", file, "run this file (tests/sim/scenarios), with a summary");
  app.add_flag("--print", print, "with --seed: only print what it draws, as a scenario file");
  app.add_option("--jobs", options.jobs, "processes")->capture_default_str();
  app.add_flag("--trace", options.trace, "print every packet");
  app.add_flag("--hashes", options.hashes, "print each seed's trace hash");
  CLI11_PARSE(app, argc, argv);
  try {
    const size_t dots = range.find("..");
    options.first = dots == std::string::npos ? 1 : std::stoull(range.substr(0, dots));
    options.last = std::stoull(dots == std::string::npos ? range : range.substr(dots + 2));
  } catch (const std::exception&) {
    std::fprintf(stderr, "sim_random: --seeds %s: want A..B or N\n", range.c_str());
    return 2;
  }
  if (scenario->count() > 0) {
    options.summary = true;
    return RunFile(file, options);
  }
  if (print) {
    std::fputs(RandomScenarioText(seed->count() > 0 ? one : options.first).c_str(), stdout);
    return 0;
  }
  if (seed->count() > 0) {
    options.first = options.last = one;
    options.summary = true;
  }
  const auto start = std::chrono::steady_clock::now();
  const int failed = RunJobs(options);
  if (!options.hashes) {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("seeds %llu..%llu: %d failed, %.1f s\n",
                static_cast<unsigned long long>(options.first),
                static_cast<unsigned long long>(options.last), failed, seconds);
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mptcptls::sim

int main(int argc, char** argv) { return mptcptls::sim::Main(argc, argv); }
