// mptcptls-lab: the lab of the tests, by hand.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "tests/netns/lab.h"

namespace mptcptls::lab {
namespace {

constexpr char kDescription[] =
    "Two hosts, `client` and `server`, joined by independent links, in network namespaces.\n"
    "Link K has interface lK on both: client 10.9.K.1 and fd00:9:K::1, server 10.9.K.2 and "
    "fd00:9:K::2\n(behind a router the server is 10.9.10K.2 and fd00:9:10K::2). Example:\n\n"
    "  lab.sh up --rate 50\n"
    "  lab.sh exec server iperf3 -s -D\n"
    "  lab.sh exec client iperf3 -c 10.9.1.2\n"
    "  lab.sh down";

void Up(LabOptions options, int rate) {
  options.keep = true;
  Lab lab(options);
  for (int link = 1; rate > 0 && link <= options.links; ++link) lab.Shape(link, rate);
  printf("lab %s is up: %d links%s\n", options.name.c_str(), options.links,
         rate > 0 ? (", " + std::to_string(rate) + " Mbit/s each").c_str() : "");
}

// Takes the place of this process; returns only to report why not.
int Exec(const std::string& netns, std::vector<std::string> argv) {
  const Host host(netns);
  if (setns(host.fd(), CLONE_NEWNET) != 0 || unshare(CLONE_NEWNS) != 0 ||
      mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) != 0) {
    throw std::runtime_error(std::string("cannot enter ") + netns + ": " + strerror(errno));
  }
  // As `ip netns exec` does: /sys shows the namespace we are in.
  umount2("/sys", MNT_DETACH);
  mount("lab", "/sys", "sysfs", 0, nullptr);
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  throw std::runtime_error("cannot run " + argv[0] + ": " + strerror(errno));
}

void Status(const std::string& name) {
  const std::vector<std::string> namespaces = ListNamespaces(name);
  if (namespaces.empty()) printf("lab %s is down\n", name.c_str());
  for (const std::string& netns : namespaces) {
    const Host host(netns);
    printf("%s: %zu processes\n%s", netns.substr(name.size() + 1).c_str(), host.Processes().size(),
           host.Run("ip -br addr show | grep -v ^lo; tc qdisc show | grep tbf || true").c_str());
    for (int link = 1; access(("/run/netns/" + netns).c_str(), F_OK) == 0; ++link) {
      try {
        const InterfaceCounters counters = host.Counters(Lab::Interface(link));
        printf("  %s received %llu bytes, sent %llu\n", Lab::Interface(link).c_str(),
               static_cast<unsigned long long>(counters.rx_bytes),
               static_cast<unsigned long long>(counters.tx_bytes));
      } catch (const std::runtime_error&) {
        break;  // no more links
      }
    }
  }
}

}  // namespace
}  // namespace mptcptls::lab

int main(int argc, char** argv) {
  using namespace mptcptls::lab;
  CLI::App app(kDescription, "lab.sh");
  app.require_subcommand(1);
  LabOptions options{.kernel_mptcp = true, .name = "mptcptls-lab"};
  int rate = 0;
  std::string host;
  std::vector<std::string> command;
  app.add_option("--name", options.name, "names the namespaces: NAME-client, NAME-server, ...")
      ->capture_default_str();

  CLI::App* up = app.add_subcommand("up", "makes the lab");
  up->add_option("--links", options.links)->check(CLI::Range(1, 50))->capture_default_str();
  up->add_option("--rate", rate, "Mbit/s of each link, both ends (default: unlimited)");
  up->add_option("--middle", options.middle, "what is between the hosts")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, Middle>{{"nothing", Middle::kNothing},
                                                                {"bridge", Middle::kBridge},
                                                                {"router", Middle::kRouter},
                                                                {"emulator", Middle::kEmulator}}));
  up->add_flag("--stranger", options.stranger, "a third host on link 1 (with --middle bridge)");
  CLI::App* down = app.add_subcommand("down", "ends its processes and removes it");
  CLI::App* exec = app.add_subcommand("exec", "runs a command on a host: exec HOST COMMAND...");
  exec->add_option("host", host, "client, server, stranger or wire")->required();
  exec->add_option("command", command, "program and arguments")->required();
  CLI::App* status = app.add_subcommand("status", "addresses, processes and byte counters");
  CLI::App* emulate = app.add_subcommand(
      "emulate",
      "sets a link's emulator (up --middle emulator): emulate LINK delay_ms=20 loss=0.01");
  int link = 1;
  std::vector<std::string> settings;
  emulate->add_option("link", link)->required();
  emulate->add_option("settings", settings, "name=value, or stats")->required();
  // What follows the host of `exec` is the command's own, options included.
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto verb = std::find(arguments.begin(), arguments.end(), "exec");
  if (arguments.end() - verb > 2 && verb[1][0] != '-') arguments.insert(verb + 2, "--");
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }

  try {
    if (up->parsed()) Up(options, rate);
    if (down->parsed()) Destroy(options.name);
    if (status->parsed()) Status(options.name);
    if (emulate->parsed()) {
      printf("%s\n", EmulateLink(options.name, link, CLI::detail::join(settings, " ")).c_str());
    }
    if (exec->parsed()) {
      const std::string netns = options.name + "-" + host;
      if (access(("/run/netns/" + netns).c_str(), F_OK) != 0) {
        throw std::runtime_error("no host " + host + ": is the lab up? (lab.sh up)");
      }
      return Exec(netns, command);
    }
  } catch (const std::exception& error) {
    fprintf(stderr, "lab: %s\n", error.what());
    return 1;
  }
}
