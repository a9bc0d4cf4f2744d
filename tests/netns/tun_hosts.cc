#include "tests/netns/tun_hosts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <tins/tins.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace mptcptls {
namespace {

int CurrentNamespace() { return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

}  // namespace

Namespace::Namespace() {
  const int back = CurrentNamespace();
  if (unshare(CLONE_NEWNET) != 0) {
    perror("these tests need root: unshare(CLONE_NEWNET)");
    std::abort();
  }
  fd_ = CurrentNamespace();
  if (setns(back, CLONE_NEWNET) != 0) std::abort();
  close(back);
  Run("ip link set lo up");
}

Namespace::~Namespace() { close(fd_); }

Namespace::Scope::Scope(const Namespace& host) : back_(CurrentNamespace()) {
  if (setns(host.fd(), CLONE_NEWNET) != 0) std::abort();
}

Namespace::Scope::~Scope() {
  if (setns(back_, CLONE_NEWNET) != 0) std::abort();
  close(back_);
}

std::string Namespace::Try(const std::string& command, int* status) const {
  const Scope scope(*this);
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  std::string output;
  std::array<char, 4096> chunk;
  for (size_t n; (n = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
    output.append(chunk.data(), n);
  *status = pclose(pipe);
  return output;
}

std::string Namespace::Run(const std::string& command) const {
  int status = 0;
  std::string output = Try(command, &status);
  EXPECT_EQ(status, 0) << command << "\n" << output;
  return output;
}

Host::Host(const Namespace& host) : net(host) {
  const Namespace::Scope scope(net);
  tun = TunDevice::Open("mptcp%d", &error);
  if (tun == nullptr) return;
  uplinks =
      UplinkMonitor::Open({.exclude_ifindex = tun->ifindex(), .extra_interfaces = {}}, &error);
  if (uplinks == nullptr) return;
  steering = Steering::Open(tun->ifindex(), tun->name(), &error);
}

bool Host::Refresh() {
  const Namespace::Scope scope(net);
  uplinks->Process();
  return steering->Apply(uplinks->addresses(), uplinks->next_hops(), ports, listeners, &error);
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

std::vector<uint8_t> MakeSegment(const Segment& segment) {
  Tins::TCP tcp(segment.destination_port, segment.source_port);
  tcp.seq(1000);
  tcp.ack_seq(2000);
  tcp.flags(Tins::TCP::ACK | Tins::TCP::PSH);
  tcp.window(65000);
  std::vector<uint8_t> payload(segment.payload);
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 7 + i / 251);
  tcp.inner_pdu(Tins::RawPDU(payload));
  std::vector<uint8_t> packet;
  size_t tcp_offset;
  uint32_t sum;
  const auto length = static_cast<uint16_t>(20 + payload.size());
  if (segment.source.family == Family::kV4) {
    Tins::IP ip(segment.destination.ToString(), segment.source.ToString());
    ip.ttl(64);
    ip.flags(Tins::IP::DONT_FRAGMENT);
    ip /= tcp;
    packet = ip.serialize();
    tcp_offset = 20;
    sum = Tins::Utils::pseudoheader_checksum(Tins::IPv4Address(segment.source.ToString()),
                                             Tins::IPv4Address(segment.destination.ToString()),
                                             length, IPPROTO_TCP);
  } else {
    Tins::IPv6 ip(segment.destination.ToString(), segment.source.ToString());
    ip.hop_limit(64);
    ip /= tcp;
    packet = ip.serialize();
    tcp_offset = 40;
    sum = Tins::Utils::pseudoheader_checksum(Tins::IPv6Address(segment.source.ToString()),
                                             Tins::IPv6Address(segment.destination.ToString()),
                                             length, IPPROTO_TCP);
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  packet[tcp_offset + 16] = static_cast<uint8_t>(sum);  // libtins sums little-endian words
  packet[tcp_offset + 17] = static_cast<uint8_t>(sum >> 8);
  return packet;
}

int Send(TunDevice& tun, const Segment& segment) {
  std::vector<uint8_t> packet = MakeSegment(segment);
  const auto tcp_offset = static_cast<uint16_t>(segment.source.family == Family::kV4 ? 20 : 40);
  const Offload offload{.partial_checksum = true,
                        .gso_size = segment.gso_size,
                        .header_length = static_cast<uint16_t>(tcp_offset + 20),
                        .tcp_offset = tcp_offset};
  const iovec pieces[] = {{packet.data(), size_t{tcp_offset} + 20},
                          {packet.data() + tcp_offset + 20, packet.size() - tcp_offset - 20}};
  return tun.Write(segment.source.family, offload, pieces, segment.payload > 0 ? 2 : 1);
}

bool HasPacket(TunDevice& tun) {
  pollfd ready{tun.fd(), POLLIN, 0};
  return poll(&ready, 1, 0) == 1;
}

std::vector<uint8_t> Receive(TunDevice& tun, Offload* offload) {
  pollfd ready{tun.fd(), POLLIN, 0};
  if (poll(&ready, 1, 5000) != 1) return {};
  std::vector<uint8_t> packet(70000);
  const ssize_t length = tun.Read(packet.data(), packet.size(), offload);
  EXPECT_GT(length, 0);
  packet.resize(length > 0 ? static_cast<size_t>(length) : 0);
  return packet;
}

}  // namespace mptcptls
