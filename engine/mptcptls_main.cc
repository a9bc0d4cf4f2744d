// mptcptls: the command that people use; what each verb does is in command_*.h.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/command_cache.h"
#include "engine/command_check.h"
#include "engine/command_down.h"
#include "engine/command_dump.h"
#include "engine/command_error.h"
#include "engine/command_run.h"
#include "engine/command_status.h"

namespace mptcptls::command {
namespace {

constexpr char kDescription[] =
    "Multipath TCP for unmodified programs, further paths admitted under the keys of their own "
    "TLS.\n"
    "\n"
    "  mptcptls run -- curl -O https://server.example/file\n"
    "  mptcptls status";

using Verb = std::function<int()>;

void AddRun(CLI::App& app, const std::shared_ptr<RunOptions>& options, Verb* verb) {
  CLI::App* const run = app.add_subcommand(
      "run",
      "starts a program with the library preloaded: run [OPTIONS] -- PROGRAM ARGUMENTS...\n"
      "Nothing is started unless the library will really load. Its exit status is the program's.");
  run->add_option("--auth", options->auth, "which authentication to offer and accept")
      ->check(CLI::IsMember({"auto", "tls", "keys", "tcp"}));
  run->add_option("--scheduler", options->scheduler, "which path carries the next bytes")
      ->check(CLI::IsMember({"lowest-rtt", "blest", "ecf", "round-robin", "redundant", "latency"}));
  run->add_flag("--require", options->require,
                "no quiet fall back to the kernel's TCP when there is no engine");
  run->add_flag(
      "--keylog", options->keylog,
      "take TLS keys from the program's key log (SSLKEYLOGFILE, node's --tls-keylog): for\n"
      "a TLS library in which the preload sees nothing. They are never in a file");
  run->add_option("--log", options->log, "what the library decides: stderr, or a file");
  run->add_option("--library", options->library,
                  "the library to preload [" + DefaultLibrary() + "]");
  run->callback([options, verb] {
    if (options->program.empty())
      throw CLI::RequiredError("PROGRAM (mptcptls run [OPTIONS] -- PROGRAM ARGUMENTS...)");
    *verb = [options] { return Run(*options); };
  });
}

void AddCheck(CLI::App& app, Verb* verb) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* const check = app.add_subcommand(
      "check",
      "tells whether a program will be captured, what stays with the kernel, and whence its TLS\n"
      "keys come. Its exit status is 0 when it will be");
  check->add_option("program", options->program, "its name or path")->required();
  check->add_option("--library", options->library, "the library to preload");
  check->callback([options, verb] { *verb = [options] { return Check(*options); }; });
}

void AddStatus(CLI::App& app, Verb* verb) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App* const status = app.add_subcommand(
      "status", "connections, subflows, keys, listeners, and why a path is not used");
  status->add_flag("--json", options->json, "for programs");
  status->add_flag("--all", options->all,
                   "every closed connection, what peers are known to speak, and the counters");
  status->callback([options, verb] { *verb = [options] { return ShowStatus(*options); }; });
}

void AddCache(CLI::App& app, Verb* verb) {
  const auto options = std::make_shared<CacheOptions>();
  CLI::App* const cache = app.add_subcommand("cache", "what destinations are known to speak");
  CLI::App* const clear =
      cache->add_subcommand("clear", "forget it: the next connection asks anew (root only)");
  clear->add_option("destination", options->destination,
                    "ADDRESS or ADDRESS:PORT [all destinations]");
  clear->callback([options] { options->clear = true; });
  cache->final_callback([options, verb] { *verb = [options] { return RunCache(*options); }; });
}

void AddDump(CLI::App& app, Verb* verb) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App* const dump = app.add_subcommand(
      "dump", "every packet through the engine into a file for Wireshark, until Ctrl-C");
  dump->add_option("-w,--write", options->file, "the pcapng file; an existing one is replaced")
      ->required();
  dump->add_option("--seconds", options->seconds, "end after so long")
      ->check(CLI::Range(0.001, 1e9));
  dump->callback([options, verb] { *verb = [options] { return Dump(*options); }; });
}

void AddDown(CLI::App& app, Verb* verb) {
  CLI::App* const down =
      app.add_subcommand("down", "ends the engine and all that it set up on this host");
  down->callback([verb] { *verb = TakeDown; });
}

int Main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  CLI::App app(kDescription, "mptcptls");
  app.set_version_flag("--version", "mptcptls " MPTCPTLS_VERSION);
  app.require_subcommand(0, 1);  // with 1, an unknown one would be called a missing one
  Verb verb;
  const auto run = std::make_shared<RunOptions>();
  AddRun(app, run, &verb);
  AddCheck(app, &verb);
  AddStatus(app, &verb);
  AddCache(app, &verb);
  AddDump(app, &verb);
  AddDown(app, &verb);
  // What belongs to the program is never parsed here, whatever it looks like.
  if (!words.empty() && words[0] == "run") {
    const std::vector<std::string> rest(words.begin() + 1, words.end());
    const size_t start = ProgramStart(rest);
    run->program.assign(rest.begin() + static_cast<ptrdiff_t>(start), rest.end());
    words.resize(1 + start);
    if (words.back() == "--") words.pop_back();
  }
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants it
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSuccess : kUsage;
  }
  if (verb) return verb();
  fputs(app.help().c_str(), stderr);
  return kUsage;
}

}  // namespace
}  // namespace mptcptls::command

int main(int argc, char** argv) {
  try {
    return mptcptls::command::Main(argc, argv);
  } catch (const std::exception& error) {
    fprintf(stderr, "mptcptls: %s\n", error.what());
    return mptcptls::command::kFailure;
  }
}
