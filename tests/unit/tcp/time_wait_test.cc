// TIME-WAIT: what ends it, what does not, and how many there may be (RFC 9293 3.6.1, RFC 1337,
// RFC 6191).
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr auto A = Tins::TCP::ACK;
constexpr auto F = Tins::TCP::FIN;
constexpr auto P = Tins::TCP::PSH;
constexpr auto R = Tins::TCP::RST;
constexpr auto S = Tins::TCP::SYN;

void Finish(SubflowRig* rig) {
  rig->Open();
  rig->subflow->Close(rig->now);
  rig->Input({.seq = 1, .ack = 2, .flags = F | A});
  EXPECT_EQ(rig->subflow->state(), TcpState::kTimeWait);
  rig->sent.clear();
}

// RFC 1337 2: old duplicates of all kinds, and the RSTs that they provoke at the peer.
TEST(TimeWait, IsNotAssassinated) {
  SubflowRig rig;
  Finish(&rig);
  rig.Input({.seq = 2, .flags = R});
  rig.Input({.seq = 2, .ack = 2, .flags = R | A});
  rig.Input({.seq = 100, .flags = R});
  rig.ExpectNothing();
  rig.Input({.seq = 0, .ack = 1, .flags = A | P, .payload = "o"});
  rig.ExpectSent(A, 2, 2, 0);
  EXPECT_EQ(rig.received, "");
  EXPECT_EQ(rig.subflow->state(), TcpState::kTimeWait);
  rig.Advance(59s);
  EXPECT_FALSE(rig.closed);
  rig.Advance(1s);
  EXPECT_EQ(rig.closed, CloseReason::kClosed);
}

TEST(TimeWait, OldSynIsAcknowledged) {
  SubflowRig rig;
  Finish(&rig);
  rig.Input({.seq = 0, .flags = S, .timestamp = 1});
  rig.ExpectSent(A, 2, 2, 0);
  EXPECT_EQ(rig.subflow->state(), TcpState::kTimeWait);
}

// RFC 6191 2. The old connection: next sequence number 1000, last timestamp 500.
TEST(TimeWait, WhichSynOpensAnew) {
  struct Case {
    bool old_timestamps;
    std::optional<uint32_t> timestamp;
    uint32_t seq;
    bool opens;
  };
  const Case cases[] = {
      {true, 501, 2000, true},           {true, 501, 1, true},
      {true, 500, 1001, true},           {true, 500, 1000, false},
      {true, 499, 2000, false},          {true, 500 + 0x80000001u, 2000, false},
      {true, std::nullopt, 1001, true},  {true, std::nullopt, 1000, false},
      {false, std::nullopt, 1001, true}, {false, std::nullopt, 999, false},
      {false, 501, 999, false},          {false, 501, 1001, true},
  };
  for (const Case& c : cases) {
    Segment syn;
    syn.syn = true;
    syn.seq = Seq{c.seq};
    if (c.timestamp) syn.options.timestamps = Timestamps{*c.timestamp, 0};
    const TimeWaitPeer peer = {Seq{1000},
                               c.old_timestamps ? std::optional<uint32_t>(500) : std::nullopt};
    EXPECT_EQ(OpensAnew(peer, syn), c.opens) << c.seq << " " << c.timestamp.value_or(0);
    syn.has_ack = true;
    EXPECT_FALSE(OpensAnew(peer, syn));
    syn.has_ack = false;
    syn.rst = true;
    EXPECT_FALSE(OpensAnew(peer, syn));
  }
}

TEST(TimeWait, NextOneBeginsAboveTheOld) {
  SubflowRig rig;
  rig.Open();
  Segment syn;
  syn.syn = true;
  syn.seq = Seq{SubflowRig::kPeerIsn + 1000};
  syn.options.timestamps = Timestamps{rig.peer_clock + 1, 0};
  EXPECT_FALSE(rig.subflow->IssOfNext(syn)) << "it is open";
  rig.subflow->Close(rig.now);
  rig.Input({.seq = 1, .ack = 2, .flags = F | A});
  EXPECT_EQ(rig.subflow->IssOfNext(syn), Seq{SubflowRig::kOurIsn + 2 + 65537});
  syn.options.timestamps->value = rig.peer_clock - 1;
  EXPECT_FALSE(rig.subflow->IssOfNext(syn));
}

TEST(TimeWait, BeyondTheLimitItEndsOnceTheFinIsAcknowledged) {
  TimeWaitBudget budget{1};
  SubflowRig first, second, third;
  for (SubflowRig* rig : {&first, &second, &third}) rig->config.time_waits = &budget;
  Finish(&first);
  EXPECT_EQ(budget.used, 1u);
  second.Open();
  second.subflow->Close(second.now);
  second.sent.clear();
  second.Input({.seq = 1, .ack = 2, .flags = F | A});
  second.ExpectSent(A, 2, 2, 0);
  second.Advance(0s);
  EXPECT_EQ(second.closed, CloseReason::kClosed);
  EXPECT_EQ(second.counters.time_wait_overflow, 1u);
  EXPECT_EQ(budget.used, 1u);
  first.Advance(60s);
  EXPECT_EQ(budget.used, 0u);
  Finish(&third);
  third.Advance(59s);
  EXPECT_FALSE(third.closed);
  third.subflow.reset();
  EXPECT_EQ(budget.used, 0u);
}

}  // namespace
}  // namespace mptcptls
