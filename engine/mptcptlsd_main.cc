// mptcptlsd: the engine of one network namespace.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "engine/config.h"
#include "engine/control_server.h"
#include "engine/engine.h"
#include "engine/log.h"

namespace mptcptls {
namespace {

constexpr char kHelp[] =
    "The engine of libmptcptls: carries the connections of all programs of this network namespace "
    "that run with LD_PRELOAD=libmptcptls.so over Multipath TCP. Programs start it by themselves; "
    "by hand it stays in the foreground and logs to stderr. Needs root (TUN, nftables).";

struct Options {
  std::string config = kDefaultConfigFile;
  bool config_given = false;
  bool check_config = false;
  bool debug = false;
  int ready_fd = -1;
};

// Says to the shim that started us that an engine is there (ours or another's).
void ReportReady(int fd) {
  if (fd < 0) return;
  if (write(fd, "R", 1) != 1) spdlog::warn("whoever started this engine is gone");
  close(fd);
}

void RaiseDescriptorLimit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// SIGINT and SIGTERM as events; SIGPIPE is what MSG_NOSIGNAL and errors are for.
Descriptor SignalDescriptor() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// Says it to the shim that started us, too: its user looks there.
int Fail(const std::string& error, int ready_fd = -1) {
  spdlog::error("{}", error);
  const std::string said = "E" + error;
  if (ready_fd >= 0 && write(ready_fd, said.data(), said.size()) < 0)
    spdlog::warn("whoever started this engine is gone");
  return 1;
}

int Serve(Config config, Descriptor name, int ready_fd) {
  std::string error;
  const auto loop = EventLoop::Create(&error);
  if (loop == nullptr) return Fail(error, ready_fd);
  const auto engine = Engine::Start(std::move(config), loop.get(), &error);
  if (engine == nullptr) return Fail(error, ready_fd);
  const Descriptor signals = SignalDescriptor();
  EventCallback on_signal([&] { engine->Stop(); });
  loop->Add(signals.get(), EPOLLIN, &on_signal);
  spdlog::info("serving, version " MPTCPTLS_VERSION ", pid {}", getpid());
  for (const std::string& line : engine->Installed()) spdlog::info("{}", line);
  ReportReady(ready_fd);
  engine->Serve(std::move(name));
  return 0;
}

int Run(const Options& options) {
  std::string error;
  const bool foreground = options.ready_fd < 0;
  if (foreground)
    LogToStderr(options.debug);
  else
    LogToFile(LogFile(), &error);  // without a log it serves all the same
  auto config = LoadConfig(options.config, options.config_given, &error);
  if (!config) return Fail(error, options.ready_fd);
  if (options.check_config) {
    printf("%s is fine\n", config->file.empty() ? "the default" : config->file.c_str());
    return 0;
  }
  if (geteuid() != 0)
    return Fail(
        "the engine needs root (TUN device, nftables): start it as root, or start the "
        "program as root",
        options.ready_fd);
  RaiseDescriptorLimit();
  bool taken = false;
  Descriptor name = TakeEngineName(&taken, &error);
  if (!name.valid()) {
    // Another starter was faster: its engine serves as well.
    if (taken && !foreground) {
      ReportReady(options.ready_fd);
      return 0;
    }
    return Fail(taken ? "an engine runs in this network namespace already: mptcptls status, or end "
                        "it with mptcptls down"
                      : error,
                options.ready_fd);
  }
  return Serve(*std::move(config), std::move(name), options.ready_fd);
}

}  // namespace
}  // namespace mptcptls

int main(int argc, char** argv) {
  mptcptls::Options options;
  CLI::App app(mptcptls::kHelp, "mptcptlsd");
  app.set_version_flag("--version", MPTCPTLS_VERSION);
  const CLI::Option* config =
      app.add_option("-c,--config", options.config,
                     "configuration (TOML); programs that start the engine pass the variable on")
          ->envname("MPTCPTLS_CONFIG")
          ->capture_default_str();
  app.add_flag("--check-config", options.check_config, "read the configuration, and stop");
  app.add_flag("--debug", options.debug, "log more (foreground)");
  app.add_option("--ready-fd", options.ready_fd,
                 "for the library that starts it: become a daemon's log, write R there when ready");
  CLI11_PARSE(app, argc, argv);
  options.config_given = config->count() > 0;
  return mptcptls::Run(options);
}
