#include "tests/netns/kernel_mptcp.h"

#include <sstream>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

constexpr char kPrefix[] = "MPTcpExt";

// "name:value" or "name=value" of a line of fields; empty without one.
std::string Field(const std::string& line, const std::string& name) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.starts_with(name)) return word.substr(name.size());
  }
  return "";
}

bool HasWord(const std::string& line, const std::string& wanted) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

}  // namespace

KernelMptcp::KernelMptcp(const Host& host)
    : host_(host), monitor_(host.Start({.argv = {"ip", "mptcp", "monitor"}})) {
  // A listener is an event; this one shows that the monitor hears them.
  const bool hears = Eventually([&] {
    host_.Run("ip mptcp endpoint add 127.0.0.9 signal port 9; ip mptcp endpoint flush");
    return !monitor_->out().empty();
  });
  if (!hears) throw std::runtime_error("ip mptcp monitor says nothing: " + monitor_->err());
}

void KernelMptcp::Limit(int subflows, int add_addr_accepted) const {
  host_.Run("ip mptcp limits set subflows " + std::to_string(subflows) + " add_addr_accepted " +
            std::to_string(add_addr_accepted));
}

void KernelMptcp::AddEndpoint(const std::string& what) const {
  host_.Run("ip mptcp endpoint add " + what);
}

std::string KernelMptcp::IdOf(const std::string& address) const {
  std::istringstream lines(host_.Run("ip mptcp endpoint show"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, word;
    words >> first;
    if (first != address) continue;
    while (words >> word) {
      if (word == "id" && words >> word) return word;
    }
  }
  throw std::runtime_error(host_.netns() + " has no endpoint " + address);
}

void KernelMptcp::DeleteEndpoint(const std::string& address) const {
  host_.Run("ip mptcp endpoint delete id " + IdOf(address));
}

void KernelMptcp::ChangeEndpoint(const std::string& address, const std::string& flags) const {
  host_.Run("ip mptcp endpoint change id " + IdOf(address) + " " + flags);
}

std::map<std::string, uint64_t> KernelMptcp::Counters() const {
  std::map<std::string, uint64_t> counters;
  std::istringstream lines(host_.Run("nstat -as"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kPrefix)) continue;
    std::istringstream words(line.substr(sizeof kPrefix - 1));
    std::string name;
    uint64_t value = 0;
    if (words >> name >> value && value != 0) counters[name] = value;
  }
  return counters;
}

uint64_t KernelMptcp::Counter(const std::string& name) const {
  const auto counters = Counters();
  const auto it = counters.find(name);
  return it == counters.end() ? 0 : it->second;
}

std::vector<KernelConnection> KernelMptcp::Connections() const {
  std::vector<KernelConnection> connections;
  // One line of addresses, then one of details that begins with white space.
  std::istringstream lines(host_.Run("ss -HMni state connected"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (line[0] != ' ' && line[0] != '\t') {
      connections.emplace_back().state = line.substr(0, line.find(' '));
    } else if (!connections.empty()) {
      KernelConnection& connection = connections.back();
      connection.token = Field(line, "token:");
      const std::string subflows = Field(line, "subflows:");
      connection.subflows = subflows.empty() ? 0 : std::stoi(subflows);
      connection.fallback = HasWord(line, "fallback");
    }
  }
  return connections;
}

std::vector<KernelEvent> KernelMptcp::Events() const {
  std::vector<KernelEvent> events;
  std::istringstream lines(monitor_->out());
  for (std::string line; std::getline(lines, line);) {
    const size_t end = line.find(']');
    const size_t begin = line.find_first_not_of("[ ");
    if (end == std::string::npos || begin >= end) continue;
    KernelEvent& event = events.emplace_back();
    event.name = line.substr(begin, end - begin);
    std::istringstream words(line.substr(end + 1));
    for (std::string word; words >> word;) {
      const size_t equal = word.find('=');
      if (equal != std::string::npos) {
        event.fields[word.substr(0, equal)] = word.substr(equal + 1);
      }
    }
  }
  return events;
}

}  // namespace mptcptls::lab
