// The raw peer against the kernel's TCP.
#include "tests/netns/raw_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tins/tins.h>

#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

TEST(RawPeer, TalksToTheKernelWithoutItsOwnInterfering) {
  Lab lab({.links = 1, .middle = Middle::kBridge, .stranger = true});
  Nginx nginx(lab, lab.server());
  nginx.Start();
  const auto peer = [&](uint16_t port) {
    return RawPeer(lab.stranger(), "l1", lab.Address(lab.stranger(), 1, Family::kV4),
                   lab.Address(lab.server(), 1, Family::kV4), port, lab.folder());
  };
  {
    RawPeer open = peer(80);
    open.Send({.source_port = 1001, .sequence = 100, .flags = Tins::TCP::SYN});
    const auto answer = open.Await(1001, [](const TracedPacket& packet) { return packet.syn; });
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->ack);
    EXPECT_EQ(answer->acknowledgement, 101u);
    // Had our kernel sent a reset, the server would not send its SYN/ACK again.
    EXPECT_TRUE(Eventually([&] { return open.Received().size() >= 2; }));
  }
  RawPeer closed = peer(81);
  closed.Send({.source_port = 1002, .sequence = 100, .flags = Tins::TCP::SYN});
  EXPECT_TRUE(
      closed.Await(1002, [](const TracedPacket& packet) { return packet.rst; }).has_value());
}

}  // namespace
}  // namespace mptcptls::lab
