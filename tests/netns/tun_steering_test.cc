// The TUN device and the nftables table between two hosts joined by a veth pair.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string>

#include "tests/netns/tun_hosts.h"
#include "tun/kernel_connections.h"

namespace mptcptls {
namespace {

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

// Two hosts, one link, both families, steering in both.
class TwoHosts : public testing::Test {
 protected:
  void SetUp() override {
    left_net.Run("ip link add l1 type veth peer name r1");
    const Namespace::Scope scope(left_net);
    left_net.Run("ip link set r1 netns /proc/" + std::to_string(getpid()) + "/fd/" +
                 std::to_string(right_net.fd()));
    left_net.Run(
        "ip addr add 10.0.1.1/24 dev l1 && ip addr add fd01::1/64 dev l1 nodad && "
        "ip link set l1 up");
    right_net.Run(
        "ip addr add 10.0.1.2/24 dev r1 && ip addr add fd01::2/64 dev r1 nodad && "
        "ip link set r1 up");
    left = std::make_unique<Host>(left_net);
    right = std::make_unique<Host>(right_net);
    ASSERT_NE(left->steering, nullptr) << left->error;
    ASSERT_NE(right->steering, nullptr) << right->error;
    left->ports = {{61000, 61255}};
    right->listeners = {{Ip("0.0.0.0"), 443}, {Ip("::"), 443}};
    ASSERT_TRUE(left->Refresh()) << left->error;
    ASSERT_TRUE(right->Refresh()) << right->error;
  }

  Namespace left_net, right_net;
  std::unique_ptr<Host> left, right;
};

TEST_F(TwoHosts, LargeSegmentArrivesWhole) {
  ASSERT_TRUE(left->tun->segmentation());
  for (const auto& [from, to] : {std::pair("10.0.1.1", "10.0.1.2"), {"fd01::1", "fd01::2"}}) {
    const Segment segment{Ip(from), Ip(to), 61000, 443, 60000, 1400};
    ASSERT_EQ(Send(*left->tun, segment), 0);
    Offload offload;
    const std::vector<uint8_t> got = Receive(*right->tun, &offload);
    const std::vector<uint8_t> sent = MakeSegment(segment);
    ASSERT_EQ(got.size(), sent.size()) << from;
    const size_t tcp = segment.source.family == Family::kV4 ? 20 : 40;
    EXPECT_TRUE(std::equal(sent.begin() + static_cast<ptrdiff_t>(tcp), sent.end(),
                           got.begin() + static_cast<ptrdiff_t>(tcp)));
    EXPECT_TRUE(offload.partial_checksum);
    EXPECT_EQ(offload.gso_size, 1400);
    EXPECT_EQ(offload.tcp_offset, tcp);
    EXPECT_EQ(offload.header_length, tcp + 20);
  }
}

// What the kernel's own sockets have between them, on a port that is not steered.
class KernelPair {
 public:
  KernelPair(const Namespace& from, const Namespace& to, const char* address, uint16_t port) {
    sockaddr_storage there{};
    socklen_t length = sizeof(sockaddr_in);
    auto* const four = reinterpret_cast<sockaddr_in*>(&there);
    auto* const six = reinterpret_cast<sockaddr_in6*>(&there);
    const bool is_six = std::string(address).find(':') != std::string::npos;
    there.ss_family = is_six ? AF_INET6 : AF_INET;
    four->sin_port = htons(port);  // at the same place in both
    if (is_six) length = sizeof *six;
    inet_pton(there.ss_family, address,
              is_six ? static_cast<void*>(&six->sin6_addr) : static_cast<void*>(&four->sin_addr));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&there);
    {
      const Namespace::Scope scope(to);
      listener_ = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      EXPECT_EQ(bind(listener_, generic, length), 0);
      EXPECT_EQ(listen(listener_, 1), 0);
    }
    there_ = there;
    client_ = ConnectAgain(from);
    server_ = accept(listener_, nullptr, nullptr);
    EXPECT_GE(server_, 0);
  }
  ~KernelPair() {
    for (const int fd : {listener_, client_, server_}) close(fd);
  }
  KernelPair(const KernelPair&) = delete;
  KernelPair& operator=(const KernelPair&) = delete;

  // Another client, whose descriptor is returned.
  int ConnectAgain(const Namespace& from) const {
    const Namespace::Scope scope(from);
    const int fd = socket(there_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&there_), sizeof there_), 0)
        << strerror(errno);
    return fd;
  }
  // The next client is accepted, and a byte comes from it.
  bool AcceptsAByte() const {
    const int fd = accept(listener_, nullptr, nullptr);
    char byte;
    const bool came = fd >= 0 && recv(fd, &byte, 1, 0) == 1;
    close(fd);
    return came;
  }

  void Send() const { EXPECT_EQ(send(client_, "x", 1, 0), 1); }
  bool Arrived() const {
    char byte;
    return recv(server_, &byte, 1, MSG_DONTWAIT) == 1;
  }

 private:
  sockaddr_storage there_{};
  int listener_ = -1, client_ = -1, server_ = -1;
};

TEST_F(TwoHosts, TheKernelKeepsTheConnectionsThatAreSpared) {
  for (const char* address : {"10.0.1.2", "fd01::2"}) {
    SCOPED_TRACE(address);
    const KernelPair pair(left_net, right_net, address, 444);
    std::optional<std::set<FourTuple>> spared;
    {
      const Namespace::Scope scope(right_net);
      spared = KernelConnectionsOn(444);
      EXPECT_EQ(KernelConnectionsOn(443), std::set<FourTuple>());
    }
    ASSERT_TRUE(spared);
    ASSERT_EQ(spared->size(), 1u);
    EXPECT_EQ(spared->begin()->local.ToString(), Endpoint({Ip(address), 444}).ToString());
    right->listeners.push_back({Ip(address), 444});
    right->steering->Spare(*spared);
    ASSERT_TRUE(right->Refresh()) << right->error;
    pair.Send();
    EXPECT_TRUE(Eventually([&] { return pair.Arrived(); }));
    EXPECT_FALSE(HasPacket(*right->tun));
    // And what is not spared is not the kernel's.
    right->steering->Spare({});
    ASSERT_TRUE(right->Refresh()) << right->error;
    pair.Send();
    Offload offload;
    EXPECT_FALSE(Receive(*right->tun, &offload).empty());
    EXPECT_FALSE(pair.Arrived());
    right->listeners.pop_back();
    ASSERT_TRUE(right->Refresh()) << right->error;
  }
}

// A listener is gone, its connection goes on, and another program listens there.
TEST_F(TwoHosts, SingleConnectionsAreTakenAndNoOthers) {
  uint16_t port = 445;
  for (const char* address : {"10.0.1.2", "fd01::2"}) {
    SCOPED_TRACE(address);
    ++port;  // the former's may be there still
    std::optional<std::set<FourTuple>> taken;
    const KernelPair ours(left_net, right_net, address, port);
    {
      const Namespace::Scope scope(right_net);
      taken = KernelConnectionsOn(port);
    }
    ASSERT_TRUE(taken);
    ASSERT_EQ(taken->size(), 1u);
    right->steering->Take(*taken);
    ASSERT_TRUE(right->Refresh()) << right->error;
    ours.Send();
    Offload offload;
    EXPECT_FALSE(Receive(*right->tun, &offload).empty());
    EXPECT_FALSE(ours.Arrived());
    // The next client of the same port, of which the listener is the kernel's.
    const int next = ours.ConnectAgain(left_net);
    EXPECT_EQ(send(next, "x", 1, 0), 1);
    EXPECT_TRUE(ours.AcceptsAByte());
    close(next);
    right->steering->Take({});
    ASSERT_TRUE(right->Refresh()) << right->error;
    ours.Send();
    EXPECT_TRUE(Eventually([&] { return ours.Arrived(); }));
    while (HasPacket(*right->tun)) Receive(*right->tun, &offload);
  }
}

}  // namespace
}  // namespace mptcptls
