// Sending: windows, SACK, recovery, timeouts, probes.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr auto A = Tins::TCP::ACK;
constexpr auto P = Tins::TCP::PSH;

TEST(Sending, OneLargeSegmentWithItsGsoSize) {
  SubflowRig rig;
  rig.Open();
  rig.Send(10000);
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].gso_size, 1448);  // 1500 - 20 - 20 - 12
  rig.ExpectSent(A | P, 1, 1, 10000);
}

TEST(Sending, RoomIsBoundedByThePeersWindow) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 5000});
  EXPECT_LE(rig.subflow->SendRoom(rig.now), 5000u);
  rig.Send(4000);
  EXPECT_EQ(rig.subflow->SendRoom(rig.now), 0u);  // 1,000 are left: no dribbling
  rig.Input({.ack = 4001, .window = 5000});
  EXPECT_GT(rig.subflow->SendRoom(rig.now), 2000u);
}

TEST(Sending, OnlyTheHoleIsSentAgain) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Advance(10ms);
  for (int i = 0; i < 8; ++i) rig.Send(1000);
  rig.sent.clear();
  rig.Advance(10ms);
  rig.Input({.ack = 1001, .window = 65535, .sack = {{2001, 7001}}});
  ASSERT_EQ(rig.sent.size(), 1u);
  rig.ExpectSent(A | P, 1001, 1, 1000);
  rig.Input({.ack = 8001, .window = 65535});
  rig.ExpectNothing();
  EXPECT_EQ(rig.counters.bytes_retransmitted, 1000u);
  EXPECT_EQ(rig.counters.rto_fired, 0u);
  EXPECT_EQ(rig.acked, 8000u);
}

TEST(Sending, PartOfALargeSegmentIsSentAgain) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(10000);
  rig.sent.clear();
  rig.Advance(10ms);
  rig.Input({.ack = 1449, .window = 65535, .sack = {{2897, 10001}}});
  rig.ExpectSent(A, 1449, 1, 1448);
  rig.ExpectNothing();
}

TEST(Sending, TailLossProbeComesBeforeTheTimeout) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Advance(10ms);
  rig.Send(1000);
  rig.Advance(20ms);
  rig.Input({.ack = 1001, .window = 65535});  // a round trip of 20 ms
  rig.Send(5000);
  rig.sent.clear();
  rig.Advance(100ms);
  EXPECT_EQ(rig.counters.tlp_sent, 1u);
  EXPECT_EQ(rig.counters.rto_fired, 0u);
  ASSERT_GE(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].seq + rig.sent[0].payload, 6001u);  // its end
}

TEST(Sending, TimeoutBacksOffAndGivesUp) {
  SubflowRig rig;
  rig.config.retries = 3;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.sent.clear();
  rig.Advance(10s);
  EXPECT_GE(rig.counters.rto_fired, 3u);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
  EXPECT_EQ(rig.timers.armed(), 0u);
}

// RFC 9293 3.8.6.1: a peer that answers probes with a closed window is alive for ever.
TEST(Sending, ClosedWindowIsProbedForAsLongAsItTakes) {
  SubflowRig rig;
  rig.config.retries = 3;
  rig.Open();
  rig.Input({.window = 0});
  EXPECT_EQ(rig.subflow->SendRoom(rig.now), 0u);
  rig.Send(1);
  rig.sent.clear();
  for (int i = 0; i < 30; ++i) {
    for (int wait = 0; rig.sent.empty() && wait < 200; ++wait) rig.Advance(1s);
    ASSERT_FALSE(rig.sent.empty()) << "probe " << i;
    rig.ExpectSent(A | P, 1, 1, 1);
    rig.Input({.ack = 1, .window = 0});
    rig.sent.clear();
  }
  EXPECT_FALSE(rig.closed);
  EXPECT_GE(rig.counters.zero_window_probes, 30u);
  EXPECT_EQ(rig.counters.rto_fired, 0u);
  rig.Input({.ack = 1, .window = 5000});
  rig.ExpectSent(A | P, 1, 1, 1);
}

TEST(Sending, UnackedRangesCarryTheirOwnMapping) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.Send(2000);
  rig.Input({.ack = 1501, .window = 65535});
  std::vector<std::tuple<uint64_t, uint32_t, uint16_t, size_t>> seen;
  rig.subflow->ForEachUnacked([&](const Mapping& m, const Payload& p) {
    seen.emplace_back(m.dsn, m.ssn, m.length, p.size());
  });
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0], std::make_tuple(uint64_t{1500}, 1501u, uint16_t{1500}, size_t{1500}));
}

TEST(Window, UpdateIsSentWhenTheProgramReads) {
  SubflowRig rig;
  rig.config.window_scale = 0;
  rig.window = 3000;
  rig.Open();
  rig.window = 0;
  rig.Input({.seq = 1, .flags = A | P, .payload = std::string(2600, 'x')});
  ASSERT_FALSE(rig.sent.empty());
  rig.sent.clear();
  rig.window = 200;  // a silly step
  rig.subflow->WindowMayHaveOpened(rig.now);
  rig.ExpectNothing();
  rig.window = 3000;
  rig.subflow->WindowMayHaveOpened(rig.now);
  rig.ExpectSent(A, 1, 2601, 0);
}

}  // namespace
}  // namespace mptcptls
