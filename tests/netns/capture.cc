#include "tests/netns/capture.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace mptcptls::lab {
namespace {

// The last packet of a capture: an EtherType for local experiments (IEEE 802) that no host takes.
constexpr uint16_t kMarkerType = 0x88b5;
constexpr char kMarker[] = "mptcptls end of capture";

bool EndsWithMarker(const std::string& path) {
  std::error_code none;
  const uintmax_t size = std::filesystem::file_size(path, none);
  constexpr size_t kLook = 65536;
  if (none || size < sizeof kMarker) return false;
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(size > kLook ? size - kLook : 0));
  const std::string tail((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return tail.find(kMarker) != std::string::npos;
}

}  // namespace

Capture::Capture(const Host& host, std::string interface, std::string file,
                 const std::string& filter, int snap, const std::vector<std::string>& env)
    : host_(host), interface_(std::move(interface)), file_(std::move(file)) {
  std::vector<std::string> argv = {"tcpdump",  "-i",
                                   interface_, "-w",
                                   file_,      "-U",
                                   "-n",       "-B",
                                   "65536",    "-Z",
                                   "root",     "--immediate-mode",
                                   "-s",       std::to_string(snap)};
  if (!filter.empty()) {
    argv.push_back("(" + filter + ") or ether proto " + std::to_string(kMarkerType));
  }
  tcpdump_ = host_.Start({.argv = argv, .env = env});
  // It says so after the socket is bound and the filter is in place.
  const bool ready = Eventually([this] {
    return tcpdump_->err().find("listening on") != std::string::npos || !tcpdump_->Running();
  });
  if (!ready || !tcpdump_->Running()) {
    throw std::runtime_error("tcpdump does not capture: " + tcpdump_->err());
  }
}

void Capture::SendMarker() const {
  const Host::Scope scope(host_);
  const int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kMarkerType);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface_.c_str()));
  address.sll_halen = 6;
  memset(address.sll_addr, 0xff, 6);
  // A shaped interface can have a full queue: then the next try gets through.
  sendto(fd, kMarker, sizeof kMarker, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
  close(fd);
}

void Capture::Stop() {
  const bool complete = Eventually([this] {
    SendMarker();
    return EndsWithMarker(file_);
  });
  tcpdump_->Signal(SIGINT);
  if (!tcpdump_->Wait()) throw std::runtime_error("tcpdump does not stop");
  if (!complete) throw std::runtime_error("tcpdump lost its end: " + tcpdump_->err());
  if (tcpdump_->err().find("\n0 packets dropped by kernel") == std::string::npos) {
    throw std::runtime_error("the capture has holes: " + tcpdump_->err());
  }
}

}  // namespace mptcptls::lab
