#include "tun/port_blocks.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace mptcptls {
namespace {

constexpr uint32_t kLastPort = 65535;

// `ip_local_reserved_ports`: set aside by the administrator for some program of his.
std::vector<PortRange> ParseRanges(const std::string& text) {
  std::vector<PortRange> ranges;
  std::istringstream list(text);
  for (std::string item; std::getline(list, item, ',');) {
    std::istringstream range(item);
    uint32_t first = 0, last = 0;
    char dash = 0;
    if (!(range >> first)) continue;
    if (!(range >> dash >> last)) last = first;
    ranges.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(last)});
  }
  return ranges;
}

std::string ReadSetting(const char* name) {
  std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
  std::string line;
  std::getline(file, line);
  return line;
}

// Bound and never listening: to the rest of the host the port is taken, in both families. -errno
// on failure.
int Guard(uint16_t port) {
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = -1;
  if (fd >= 0) {
    const int dual_stack = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &dual_stack, sizeof dual_stack);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    result = bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any);
  } else if (errno == EAFNOSUPPORT) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    result = bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any);
  }
  if (result == 0) return fd;
  const int error = errno;
  if (fd >= 0) close(fd);
  return -error;
}

}  // namespace

PortBlocks::PortBlocks() {
  uint32_t first = 32768, last = 60999;  // the kernel's default
  std::istringstream(ReadSetting("ip_local_port_range")) >> first >> last;
  const std::vector<PortRange> reserved = ParseRanges(ReadSetting("ip_local_reserved_ports"));
  const auto add = [&](uint32_t port) {
    const bool taken = std::any_of(reserved.begin(), reserved.end(), [&](const PortRange& range) {
      return range.first <= port && port <= range.last;
    });
    if (!taken) candidates_.push_back(static_cast<uint16_t>(port));
  };
  // Above the ephemeral range nobody looks for a port. Within it, the kernel steps around ours.
  // Below it live the services that programs will want to bind: never there.
  for (uint32_t port = last + 1; port <= kLastPort; ++port) add(port);
  for (uint32_t port = last; port >= first && port > 0; --port) add(port);
}

PortBlocks::~PortBlocks() {
  for (int fd : guards_) close(fd);
}

bool PortBlocks::Grow(std::string* error) {
  if (ports_.size() >= size_t{kMaxBlocks} * kBlockSize) {
    *error = "all " + std::to_string(kMaxBlocks) + " blocks of source ports are in use";
    return false;
  }
  std::vector<uint16_t> ports;
  std::vector<int> guards;
  const auto give_back = [&](const std::string& reason) {
    for (int fd : guards) close(fd);
    *error = "cannot reserve source ports: " + reason;
    return false;
  };
  size_t at = next_candidate_;
  for (; ports.size() < kBlockSize; ++at) {
    if (at >= candidates_.size())
      return give_back(
          "too few ports are free; widen net.ipv4.ip_local_port_range or end programs that hold "
          "many connections");
    const int fd = Guard(candidates_[at]);
    if (fd == -EADDRINUSE || fd == -EACCES) continue;
    if (fd == -EMFILE || fd == -ENFILE)
      return give_back("no file descriptors are left; raise the limit (ulimit -n)");
    if (fd < 0) return give_back(std::strerror(-fd));
    ports.push_back(candidates_[at]);
    guards.push_back(fd);
  }
  next_candidate_ = at;
  guards_.insert(guards_.end(), guards.begin(), guards.end());
  ports_.insert(ports_.end(), ports.begin(), ports.end());
  std::vector<uint16_t> ascending = ports_;
  std::sort(ascending.begin(), ascending.end());
  ranges_ = ToRanges(ascending);
  return true;
}

std::vector<PortRange> ToRanges(const std::vector<uint16_t>& ascending_ports) {
  std::vector<PortRange> ranges;
  for (uint16_t port : ascending_ports) {
    if (!ranges.empty() && ranges.back().last + 1 == port)
      ranges.back().last = port;
    else
      ranges.push_back({port, port});
  }
  return ranges;
}

}  // namespace mptcptls
