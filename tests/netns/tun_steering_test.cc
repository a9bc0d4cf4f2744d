// The TUN device and the nftables table between two hosts joined by a veth pair.
#include <gtest/gtest.h>

#include "tests/netns/tun_hosts.h"

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

}  // namespace
}  // namespace mptcptls
