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

// A retransmission has an old sequence number; what it acknowledges is new, and the window is
// counted from there.
TEST(Sending, TheWindowOfARetransmissionCounts) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 101, .window = 6000, .payload = "ahead"});  // snd_wl1 is 101 now
  rig.Send(4000);
  rig.Input({.seq = 1, .ack = 4001, .window = 2000, .payload = std::string(100, 'x')});
  EXPECT_LE(rig.subflow->SendRoom(rig.now), 2000u);
  EXPECT_EQ(rig.subflow->Info().peer_window, 2000u);
  // Older in both: no news.
  rig.Input({.seq = 50, .ack = 4001, .window = 9000, .payload = "old"});
  EXPECT_EQ(rig.subflow->Info().peer_window, 2000u);
}

// Karn's algorithm (RFC 6298 3) means the acknowledgement, not the byte: what was sent once and
// waited at the peer for a retransmission measures nothing.
TEST(Sending, WhatWaitedForARetransmissionIsNoRoundTrip) {
  SubflowRig rig(false);
  rig.Open();
  rig.Input({.window = 65535});
  for (int i = 0; i < 3; ++i) rig.Send(1000);
  rig.Advance(10s);  // the first goes again by timeouts, the last as a probe; the second waits
  const Duration before = rig.subflow->Info().srtt;
  rig.Input({.ack = 3001, .window = 65535});
  EXPECT_EQ(rig.subflow->Info().srtt, before);
  EXPECT_LT(rig.subflow->Info().rto, 1s);
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

// RFC 6298 3: the second segment was sent once, but its acknowledgement waited for the first.
TEST(Sending, WhatFollowsAHoleMeasuresNoRoundTrip) {
  SubflowRig rig(false);
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.Send(1000);
  const Duration before = rig.subflow->Info().srtt;
  rig.Advance(5s);
  ASSERT_GT(rig.counters.rto_fired, 0u);
  rig.Input({.ack = 2001, .window = 65535});
  EXPECT_EQ(rig.subflow->Info().srtt, before);
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

// All that the window takes leaves, and is acknowledged segment by segment after `rtt`: by how much
// the window has grown.
uint32_t GrowthInARoundTrip(SubflowRig* rig, Duration rtt) {
  const uint32_t mss = rig->subflow->mss(), before = rig->subflow->cwnd();
  uint32_t ack = rig->subflow->next_ssn();
  while (rig->subflow->SendRoom(rig->now) >= mss) rig->Send(mss);
  rig->Advance(rtt);
  while (ack < rig->subflow->next_ssn()) rig->Input({.ack = ack += mss, .window = 65535});
  return rig->subflow->cwnd() - before;
}

// RFC 9406 4.2: a round trip time that grows is that of a queue, which slow start fills.
TEST(CongestionWindow, SlowStartSlowsDownWhenTheRoundTripTimeGrows) {
  SubflowRig rig;
  rig.config.policy.pacing = false;
  rig.Open();
  rig.Input({.window = 65535});
  const uint32_t mss = rig.subflow->mss();
  EXPECT_EQ(GrowthInARoundTrip(&rig, 20ms), 10 * mss);
  // Eight samples tell (N_RTT_SAMPLE); what is acknowledged from then on counts a quarter.
  EXPECT_LT(GrowthInARoundTrip(&rig, 30ms), 12 * mss);
}

// RFC 5681 4.1: after an RTO without a word nothing is known of the path any more.
TEST(CongestionWindow, IsTheInitialOneAfterAnIdleTime) {
  SubflowRig rig;
  rig.config.policy.pacing = false;
  rig.Open();
  rig.Input({.window = 65535});
  const uint32_t mss = rig.subflow->mss();
  GrowthInARoundTrip(&rig, 20ms);
  rig.Advance(100ms);
  rig.Send(1000);
  EXPECT_EQ(rig.subflow->cwnd(), 20 * mss);
  rig.Input({.ack = rig.subflow->next_ssn(), .window = 65535});
  rig.Advance(1s);
  rig.Send(1000);
  EXPECT_EQ(rig.subflow->cwnd(), 10 * mss);
}

// RFC 9438 5.8: what is not used up was not tried, and must not grow.
TEST(CongestionWindow, DoesNotGrowWhileItIsNotUsed) {
  SubflowRig rig;
  rig.Open();
  const uint32_t before = rig.subflow->cwnd();
  for (int i = 0; i < 20; ++i) {
    rig.Send(1000);
    rig.Advance(20ms);
    rig.Input({.ack = rig.subflow->next_ssn(), .window = 65535});
  }
  EXPECT_EQ(rig.subflow->cwnd(), before);
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

// RFC 9293 3.8.6.2.2: a window that opens byte by byte would be filled with segments of single
// bytes. Its edge stays until there is room for a whole one, whatever else is acknowledged.
TEST(Window, OpensBySegments) {
  SubflowRig rig;
  rig.config.window_scale = 0;
  rig.window = 3000;
  rig.Open();
  rig.window = 0;
  rig.Input({.seq = 1, .flags = A | P, .payload = std::string(3000, 'x')});
  ASSERT_FALSE(rig.sent.empty());
  EXPECT_EQ(rig.sent.back().window, 0);
  const uint32_t mss = rig.subflow->mss();
  for (const uint32_t room : {1u, 500u, mss - 1, mss}) {
    rig.sent.clear();
    rig.window = room;
    rig.Input({.seq = 1, .payload = "x"});  // old: acknowledged at once
    ASSERT_EQ(rig.sent.size(), 1u);
    EXPECT_EQ(rig.sent[0].window, room < mss ? 0 : room);
  }
}

}  // namespace
}  // namespace mptcptls
