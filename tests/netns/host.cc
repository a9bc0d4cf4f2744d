#include "tests/netns/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace mptcptls::lab {
namespace {

constexpr char kNetnsFolder[] = "/run/netns/";

int CurrentNamespace() { return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

void Check(bool condition, const std::string& what) {
  if (!condition) throw std::system_error(errno, std::generic_category(), what);
}

// Processes whose network namespace has this inode; zombies have none.
std::vector<pid_t> ProcessesIn(ino_t inode) {
  std::vector<pid_t> pids;
  DIR* proc = opendir("/proc");
  Check(proc != nullptr, "opendir /proc");
  while (const dirent* entry = readdir(proc)) {
    const pid_t pid = atoi(entry->d_name);
    struct stat status;
    const std::string link = "/proc/" + std::string(entry->d_name) + "/ns/net";
    if (pid > 0 && stat(link.c_str(), &status) == 0 && status.st_ino == inode) pids.push_back(pid);
  }
  closedir(proc);
  return pids;
}

void KillProcessesIn(ino_t inode) {
  // A process can fork while we look, so look again until nobody is left.
  const bool gone = Eventually([inode] {
    bool any = false;
    for (const pid_t pid : ProcessesIn(inode)) {
      if (pid == getpid()) continue;
      kill(pid, SIGKILL);
      any = true;
    }
    return !any;
  });
  if (!gone) throw std::runtime_error("a process in a lab namespace does not die");
}

}  // namespace

Host::Host(std::string netns) : netns_(std::move(netns)) {
  const std::string path = kNetnsFolder + netns_;
  if (access(path.c_str(), F_OK) != 0) {
    const auto add = Child::Start({.argv = {"ip", "netns", "add", netns_}}, [] {});
    if (add->Wait() != 0) {
      throw std::runtime_error("cannot make network namespace " + netns_ +
                               " (root needed): " + add->err());
    }
  }
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  Check(fd_ >= 0, "open " + path);
  Run("ip link set lo up");
}

Host::~Host() { close(fd_); }

Host::Scope::Scope(const Host& host) : back_(CurrentNamespace()) {
  Check(setns(host.fd(), CLONE_NEWNET) == 0, "setns " + host.netns());
}

Host::Scope::~Scope() {
  if (setns(back_, CLONE_NEWNET) != 0) abort();
  close(back_);
}

// Runs in the child between fork and exec. A mount namespace of its own lets /sys show this
// network namespace without anybody else noticing.
void Host::EnterForExec() const {
  if (setns(fd_, CLONE_NEWNET) != 0) _exit(125);
  if (unshare(CLONE_NEWNS) != 0) _exit(125);
  if (mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) != 0) _exit(125);
  umount2("/sys", MNT_DETACH);
  mount("lab", "/sys", "sysfs", 0, nullptr);
}

std::unique_ptr<Child> Host::Start(const Command& command) const {
  return Child::Start(command, [this] { EnterForExec(); });
}

std::string Host::Run(const std::string& command) const {
  const auto child = Start({.argv = {"/bin/sh", "-ec", command}});
  const std::optional<int> status = child->Wait(std::chrono::seconds(60));
  if (status != 0) {
    throw std::runtime_error(netns_ + ": " + command + ": " +
                             (status ? "exit status " + std::to_string(*status) : "hangs") + "\n" +
                             child->out() + child->err());
  }
  return child->out();
}

void Host::SetSysctl(const std::string& name, const std::string& value) const {
  const Scope scope(*this);
  std::string path = "/proc/sys/" + name;
  std::replace(path.begin() + 10, path.end(), '.', '/');
  std::ofstream file(path);
  file << value << std::flush;
  if (!file) throw std::runtime_error("cannot set " + name + " to " + value + " in " + netns_);
}

InterfaceCounters Host::Counters(const std::string& interface) const {
  const Scope scope(*this);
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' ')) != interface)
      continue;
    std::istringstream fields(line.substr(colon + 1));
    uint64_t value[16] = {};
    for (uint64_t& field : value) fields >> field;
    return {
        .rx_bytes = value[0], .rx_packets = value[1], .tx_bytes = value[8], .tx_packets = value[9]};
  }
  throw std::runtime_error("no interface " + interface + " in " + netns_);
}

std::map<std::string, std::string> Host::Snapshot() const {
  static const std::regex kChanging(R"( (expires|valid_lft|preferred_lft|packets|bytes) \S+)");
  std::map<std::string, std::string> sections;
  const std::pair<const char*, const char*> commands[] = {
      {"links", "ip -o link show | sort"},
      {"addresses", "ip -o addr show | sort"},
      {"rules", "ip -4 rule show; ip -6 rule show"},
      {"routes", "ip -4 route show table all | sort; ip -6 route show table all | sort"},
      {"qdiscs", "tc qdisc show"},
      {"nftables", "nft list ruleset"},
      // The first is a counter of its own; the second and third are what some sysctls are without a
      // value of their own: readable by nobody, or one shot.
      {"sysctls",
       "sysctl -a -r '^net[.]' 2>/dev/null | grep -vE "
       "'nf_conntrack_count|stable_secret|route.flush'"},
  };
  for (const auto& [name, command] : commands) {
    sections[name] = std::regex_replace(Run(command), kChanging, "");
  }
  return sections;
}

std::vector<pid_t> Host::Processes() const {
  struct stat status;
  Check(fstat(fd_, &status) == 0, "fstat " + netns_);
  return ProcessesIn(status.st_ino);
}

std::string Difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after) {
  const auto lines = [](const std::map<std::string, std::string>& sections) {
    std::set<std::string> all;
    for (const auto& [name, text] : sections) {
      std::istringstream stream(text);
      for (std::string line; std::getline(stream, line);) all.insert(name + ": " + line);
    }
    return all;
  };
  const std::set<std::string> old_lines = lines(before);
  const std::set<std::string> new_lines = lines(after);
  std::string text;
  for (const std::string& line : old_lines) {
    if (!new_lines.contains(line)) text += "-" + line + "\n";
  }
  for (const std::string& line : new_lines) {
    if (!old_lines.contains(line)) text += "+" + line + "\n";
  }
  return text;
}

std::vector<std::string> ListNamespaces(const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(kNetnsFolder, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix + "-")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void DestroyNamespaces(const std::string& prefix) {
  for (const std::string& name : ListNamespaces(prefix)) {
    const std::string path = kNetnsFolder + name;
    struct stat self;
    struct stat status;
    Check(stat("/proc/self/ns/net", &self) == 0, "stat own namespace");
    // A file that was never mounted over has another inode than any namespace: nobody is in it.
    if (stat(path.c_str(), &status) == 0 && status.st_ino != self.st_ino) {
      KillProcessesIn(status.st_ino);
      // Whatever engine ran there, its log is of no use to anybody now.
      const std::string log = "/run/mptcptls/engine-" + std::to_string(status.st_ino);
      for (const char* suffix : {".log", ".1.log"}) unlink((log + suffix).c_str());
    }
    umount2(path.c_str(), MNT_DETACH);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) Check(false, "unlink " + path);
  }
}

}  // namespace mptcptls::lab
