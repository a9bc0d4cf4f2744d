// Loss recovery beyond the plain case: what was late, what came twice, what was never lost.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr uint16_t A = Tins::TCP::ACK, P = Tins::TCP::PSH;
constexpr uint16_t kWindow = 65535;

// `count` segments of 1,000 bytes, sent 10 ms after everything before; nothing on record.
void SendFlight(SubflowRig* rig, int count) {
  rig->Input({.ack = rig->subflow->next_ssn(), .window = kWindow});
  rig->Advance(10ms);
  for (int i = 0; i < count; ++i) rig->Send(1000);
}

TEST(DuplicateSack, ReportsWhatArrivedBelowTheAcknowledgement) {  // RFC 2883 4.1.1
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .payload = std::string(1000, 'a')});
  rig.sent.clear();
  rig.Input({.seq = 1, .payload = std::string(1000, 'a')});
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].sack, (std::vector<std::pair<uint32_t, uint32_t>>{{1, 1001}}));
  rig.sent.clear();
  rig.Input({.seq = 1001, .payload = std::string(1000, 'b')});
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_TRUE(rig.sent[0].sack.empty());  // once
}

TEST(DuplicateSack, ReportsWhatArrivedTwiceAboveAHole) {  // RFC 2883 4.1.2
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1001, .payload = std::string(1000, 'b')});
  rig.Input({.seq = 2001, .payload = std::string(1000, 'c')});
  rig.sent.clear();
  rig.Input({.seq = 1501, .payload = std::string(1000, 'x')});
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].sack,
            (std::vector<std::pair<uint32_t, uint32_t>>{{1501, 2501}, {1001, 3001}}));
}

TEST(DuplicateSack, ReportsThePartThatIsOld) {  // RFC 2883 4.1.3
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .payload = std::string(1000, 'a')});
  rig.sent.clear();
  rig.Input({.seq = 501, .payload = std::string(1000, 'a')});
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].ack, 1501u);
  EXPECT_EQ(rig.sent[0].sack, (std::vector<std::pair<uint32_t, uint32_t>>{{501, 1001}}));
}

// An acknowledgement that was overtaken is old by its time stamp; what it reports comes only once.
TEST(DuplicateSack, IsTakenFromAnAcknowledgementThatWasOvertaken) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 2);
  rig.Input({.ack = 2001, .window = kWindow, .timestamp = rig.peer_clock + 50});
  rig.sent.clear();
  rig.Input(
      {.ack = 1001, .window = kWindow, .timestamp = rig.peer_clock + 20, .sack = {{1, 1001}}});
  EXPECT_EQ(rig.counters.dsack_received, 1u);
  EXPECT_EQ(rig.counters.drop_paws, 0u);
  rig.ExpectNothing();
  // Data with an old time stamp is from a connection of before (RFC 7323 5.3).
  rig.Input({.ack = 2001, .payload = "x", .timestamp = rig.peer_clock + 20});
  EXPECT_EQ(rig.counters.drop_paws, 1u);
  EXPECT_TRUE(rig.received.empty());
}

// RFC 8985 6.2 step 4: reports of duplicates make the sender more patient.
TEST(Reordering, DuplicatesWidenTheWindow) {
  for (const bool reported : {false, true}) {
    SubflowRig rig;
    rig.Open();
    SendFlight(&rig, 8);
    rig.sent.clear();
    rig.Advance(20ms);
    // Reordering is seen: the second segment comes after the third.
    rig.Input({.window = kWindow, .sack = {{2001, 3001}}});
    rig.Advance(1ms);
    rig.Input({.window = kWindow, .sack = {{1001, 3001}}});
    rig.Advance(1ms);
    rig.Input({.ack = 8001, .window = kWindow});
    if (reported) {
      for (int i = 0; i < 3; ++i) {
        rig.Input({.ack = rig.subflow->next_ssn(), .window = kWindow, .sack = {{1, 1001}}});
        SendFlight(&rig, 1);
        rig.Advance(20ms);
        rig.Input({.ack = rig.subflow->next_ssn(), .window = kWindow});
      }
    }
    SendFlight(&rig, 6);
    const uint32_t end = rig.subflow->next_ssn();
    rig.sent.clear();
    rig.Advance(20ms);
    rig.Input({.ack = end - 6000, .window = kWindow, .sack = {{end - 5000, end - 1000}}});
    rig.Advance(7ms);  // more than min_rtt / 4
    EXPECT_EQ(rig.sent.empty(), reported);
    rig.Advance(20ms);
    EXPECT_FALSE(rig.sent.empty());
  }
}

// RFC 8985 6.2 step 4 widens by a quarter of min_rtt: too little where a segment comes after its
// copy. Then the report of the duplicate (RFC 2883) tells how late it was.
TEST(Reordering, AReportedDuplicateTellsHowLateTheSegmentWas) {
  SubflowRig rig(false);
  rig.Open();
  SendFlight(&rig, 8);
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{1001, 8001}}});
  EXPECT_EQ(rig.counters.segments_retransmitted, 1u);
  rig.Advance(20ms);
  rig.Input({.ack = 8001, .window = kWindow});  // the copy
  rig.Advance(20ms);
  rig.Input({.ack = 8001, .window = kWindow, .sack = {{1, 1001}}});  // the segment, after 60 ms
  SendFlight(&rig, 6);
  const uint32_t end = rig.subflow->next_ssn();
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.ack = end - 6000, .window = kWindow, .sack = {{end - 5000, end}}});
  rig.Advance(39ms);
  rig.ExpectNothing();
  rig.Advance(1ms);
  rig.ExpectSent(A | P, end - 6000, 1, 1000);
}

// RFC 7323 5.3: what a retransmission overtakes must not look like an old duplicate.
TEST(Reordering, RetransmissionsAreStampedAsFarBackAsSegmentsAreOvertaken) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 8);
  const uint32_t first = rig.sent.front().timestamp;
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{2001, 3001}}});
  rig.Advance(3ms);
  rig.Input({.window = kWindow, .sack = {{1001, 8001}}});
  rig.ExpectNothing();
  rig.Advance(10ms);
  ASSERT_FALSE(rig.sent.empty());
  const uint32_t at = first + 28;  // what was overtaken is waited for a quarter of min_rtt
  EXPECT_EQ(rig.sent.front().seq, 1u);
  EXPECT_EQ(rig.sent.front().timestamp, at - 3);
  // Its echo is of the second transmission, and no round trip of the first.
  rig.Advance(20ms);
  rig.Input({.ack = 8001, .window = kWindow, .echo = at - 3});
  EXPECT_EQ(rig.counters.spurious_recoveries, 0u);
  // What is new has the time of day.
  rig.sent.clear();
  rig.Send(1000);
  EXPECT_EQ(rig.sent.front().timestamp, first + 53);
}

// RFC 3522: the acknowledgement of the retransmitted segment echoes the first one's time stamp.
TEST(Undo, ARecoveryThatAnOldTimestampBelies) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 8);
  const uint32_t first = rig.sent.front().timestamp, before = rig.subflow->Info().cwnd;
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{1001, 6001}}});
  rig.ExpectSent(A | P, 1, 1, 1000);
  EXPECT_LT(rig.subflow->Info().ssthresh, before);
  rig.Advance(5ms);
  rig.Input({.ack = 8001, .window = kWindow, .echo = first});
  EXPECT_EQ(rig.counters.spurious_recoveries, 1u);
  EXPECT_GE(rig.subflow->Info().cwnd, before);
  EXPECT_GT(rig.subflow->Info().ssthresh, before);
}

TEST(Undo, NotWhenTheRetransmissionIsEchoed) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 8);
  const uint32_t before = rig.subflow->Info().cwnd;
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{1001, 6001}}});
  ASSERT_FALSE(rig.sent.empty());
  const uint32_t second = rig.sent.front().timestamp;
  rig.Advance(20ms);
  rig.Input({.ack = 8001, .window = kWindow, .echo = second});
  EXPECT_EQ(rig.counters.spurious_recoveries, 0u);
  EXPECT_LT(rig.subflow->Info().cwnd, before);
}

// RFC 2883, RFC 3708: every retransmission came twice.
TEST(Undo, ARecoveryOfWhichEverythingCameTwice) {
  SubflowRig rig(false);
  rig.Open();
  SendFlight(&rig, 8);
  const uint32_t before = rig.subflow->Info().cwnd;
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{2001, 7001}}});  // two are sent again
  EXPECT_EQ(rig.counters.segments_retransmitted, 2u);
  rig.Advance(5ms);
  rig.Input({.ack = 8001, .window = kWindow});
  EXPECT_LT(rig.subflow->Info().cwnd, before);
  rig.Input({.ack = 8001, .window = kWindow, .sack = {{1, 1001}}});
  EXPECT_EQ(rig.counters.spurious_recoveries, 0u);
  rig.Input({.ack = 8001, .window = kWindow, .sack = {{1001, 2001}}});
  EXPECT_EQ(rig.counters.spurious_recoveries, 1u);
  EXPECT_EQ(rig.counters.dsack_received, 2u);
  EXPECT_GE(rig.subflow->Info().cwnd, before);
}

// RFC 5682 3: a timeout, and then the originals are acknowledged after all.
TEST(Frto, ATimeoutBySpikeIsUndone) {
  SubflowRig rig(false);
  rig.Open();
  SendFlight(&rig, 8);
  const uint32_t before = rig.subflow->Info().cwnd;
  rig.Advance(400ms);  // the tail probe, then the timeout
  ASSERT_EQ(rig.counters.rto_fired, 1u);
  rig.sent.clear();
  rig.Input({.ack = 3001, .window = kWindow});  // the first three
  EXPECT_EQ(rig.counters.spurious_timeouts, 1u);
  rig.ExpectNothing();
  EXPECT_GE(rig.subflow->Info().cwnd, before);
}

TEST(Frto, ATimeoutByLossIsNot) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 8);
  rig.Advance(400ms);
  ASSERT_EQ(rig.counters.rto_fired, 1u);
  const uint32_t again = rig.sent.back().timestamp;
  rig.sent.clear();
  rig.Input({.ack = 1001, .window = kWindow, .echo = again});
  EXPECT_EQ(rig.counters.spurious_timeouts, 0u);
  rig.ExpectSent(A | P, 1001, 1, 1000);
  rig.ExpectSent(A | P, 2001, 1, 1000);
}

// RFC 5682 2.1: without SACK and time stamps new data decides.
TEST(Frto, WithoutOptionsNewDataDecides) {
  for (const bool lost : {false, true}) {
    SubflowRig rig(false, false);
    rig.Open();
    SendFlight(&rig, 6);
    rig.Advance(400ms);
    ASSERT_EQ(rig.counters.rto_fired, 1u);
    rig.sent.clear();
    rig.when_done = [&] {
      while (rig.subflow->SendRoom(rig.now) >= 1000) rig.Send(1000);
    };
    rig.Input({.ack = 1001, .window = kWindow});
    ASSERT_EQ(rig.sent.size(), 2u);  // step 2b: at most two new segments
    EXPECT_EQ(rig.sent[0].seq, 6001u);
    rig.sent.clear();
    rig.when_done = {};
    rig.Input({.ack = lost ? 1001u : 2001u, .window = kWindow});
    EXPECT_EQ(rig.counters.spurious_timeouts, lost ? 0u : 1u);
    if (lost) {
      rig.ExpectSent(A | P, 1001, 1, 1000);
    } else {
      rig.ExpectNothing();
    }
  }
}

TEST(Frto, WithoutNewDataTheOldGoesAgain) {
  SubflowRig rig(false, false);
  rig.Open();
  SendFlight(&rig, 6);
  rig.Advance(400ms);
  rig.sent.clear();
  rig.Input({.ack = 1001, .window = kWindow});
  rig.ExpectSent(A | P, 1001, 1, 1000);
}

// RFC 3042: the first two duplicates let one new segment out each.
TEST(LimitedTransmit, WithoutSack) {
  SubflowRig rig(true, false);
  rig.Open();
  rig.Input({.window = kWindow});
  rig.Advance(10ms);
  const uint32_t mss = rig.subflow->Info().mss;
  while (rig.subflow->SendRoom(rig.now) >= mss) rig.Send(mss);
  EXPECT_EQ(rig.subflow->SendRoom(rig.now), 0u);
  rig.Advance(20ms);
  for (const size_t allowed : {1u, 2u}) {
    rig.Input({.window = kWindow});
    EXPECT_EQ(rig.subflow->SendRoom(rig.now), allowed * mss);
  }
  EXPECT_EQ(rig.counters.segments_retransmitted, 0u);
}

// RFC 8985 7.4: a probe that repaired a loss would hide it from the window.
TEST(TailLossProbe, ALossThatItRepairedCounts) {
  for (const bool twice : {false, true}) {
    SubflowRig rig;
    rig.Open();
    SendFlight(&rig, 1);
    rig.Advance(150ms);
    ASSERT_EQ(rig.counters.tlp_sent, 1u);
    const uint32_t before = rig.subflow->Info().cwnd;
    rig.Input({.ack = 1001, .window = kWindow});
    if (twice) rig.Input({.ack = 1001, .window = kWindow, .sack = {{1, 1001}}});
    rig.Send(1000);
    rig.Advance(20ms);
    rig.Input({.ack = 2001, .window = kWindow});
    if (twice) {
      EXPECT_GE(rig.subflow->Info().cwnd, before);
    } else {
      EXPECT_LT(rig.subflow->Info().cwnd, before);
    }
  }
}

// RFC 2018 8: the peer may throw away what it SACKed. A timeout while the first segment that is not
// acknowledged counts as SACKed proves it: nothing that was SACKed is believed any more.
TEST(Reneging, WhatWasSackedGoesAgainAfterATimeout) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 3);
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{1001, 3001}}});
  rig.Advance(20ms);
  rig.Input({.ack = 1001, .window = kWindow});  // the hole is filled, and the rest is gone
  rig.sent.clear();
  rig.Advance(300ms);
  EXPECT_EQ(rig.counters.rto_fired, 1u);
  rig.ExpectSent(A | P, 1001, 1, 1000);
  rig.Input({.ack = 2001, .window = kWindow});
  rig.ExpectSent(A | P, 2001, 1, 1000);
  rig.Input({.ack = 3001, .window = kWindow});
  EXPECT_EQ(rig.acked, 3000u);
}

// RFC 7323 4.1: where everything was sent twice, the echo tells the round trip time.
TEST(RoundTripTime, IsLearnedFromTheEchoWhenKarnLeavesNone) {
  SubflowRig rig;
  rig.Open();
  SendFlight(&rig, 1);
  const uint32_t first = rig.sent.front().timestamp;
  rig.Advance(900ms);
  EXPECT_GT(rig.counters.rto_fired, 0u);
  const Duration before = rig.subflow->srtt();
  rig.Input({.ack = 1001, .window = kWindow, .echo = first});
  EXPECT_GT(rig.subflow->srtt(), before + 100ms);
}

// Time stamps were agreed upon, but ours are stripped on the way: the echo is the SYN's for ever.
TEST(RoundTripTime, IsNotLearnedFromAnEchoThatStandsStill) {
  SubflowRig rig;
  rig.Open();
  const uint32_t of_the_syn = rig.handshake.front().timestamp;
  rig.Advance(5s);
  SendFlight(&rig, 1);
  rig.Advance(900ms);
  EXPECT_GT(rig.counters.rto_fired, 0u);
  rig.Input({.ack = 1001, .window = kWindow, .echo = of_the_syn});
  EXPECT_LT(rig.subflow->srtt(), 50ms);
  EXPECT_EQ(rig.counters.spurious_timeouts, 0u);
}

// RFC 9937 6.2: while more is under way than may be, half as much is sent as is delivered, where
// the window is to become half.
TEST(ProportionalReduction, SendsInProportionToWhatIsDelivered) {
  SubflowRig rig;
  rig.config.policy.congestion = CongestionAlgorithm::kNewReno;
  rig.config.policy.pacing = false;
  rig.Open();
  SendFlight(&rig, 20);
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.window = kWindow, .sack = {{1001, 6001}}});
  ASSERT_EQ(rig.sent.size(), 1u);  // the fast retransmission
  EXPECT_EQ(rig.subflow->Info().ssthresh, 10000u);
  EXPECT_EQ(rig.subflow->Info().cwnd, 14000u + 2500u);
  rig.Input({.window = kWindow, .sack = {{1001, 8001}}});
  EXPECT_EQ(rig.subflow->Info().cwnd, 13000u + 2500u);  // 7,000 / 2, and 1,000 of it was sent
  rig.Input({.ack = 20001, .window = kWindow});
  EXPECT_LT(rig.subflow->Info().cwnd, 20000u);
}

TEST(Pacing, SegmentsAreWholePackets) {
  SubflowRig rig;
  rig.Open();
  const size_t paced = rig.subflow->MaxSegment();
  EXPECT_GT(paced, 0u);
  EXPECT_EQ(paced % rig.subflow->mss(), 0u);
  SubflowRig free;
  free.config.policy.pacing = false;
  free.Open();
  EXPECT_GT(free.subflow->MaxSegment(), 60000u);
  EXPECT_EQ(free.subflow->MaxSegment() % free.subflow->mss(), 0u);
}

TEST(Pacing, HoldsBackAndGoesOnByItself) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = kWindow});
  int resumed = 0;
  rig.when_done = [&] { ++resumed; };
  // The initial window leaves at once; what an acknowledgement allows after that is spread.
  const uint32_t mss = rig.subflow->Info().mss;
  while (rig.subflow->SendRoom(rig.now) >= mss) rig.Send(mss);
  const uint32_t end = rig.subflow->next_ssn();
  rig.Advance(20ms);
  rig.Input({.ack = end, .window = kWindow});
  ASSERT_GT(rig.subflow->Info().cwnd, 20000u);
  resumed = 0;
  size_t burst = 0;
  while (const size_t room = std::min(rig.subflow->SendRoom(rig.now), rig.subflow->MaxSegment())) {
    rig.Send(room);
    burst += room;
  }
  EXPECT_LT(burst, rig.subflow->Info().cwnd / 2);
  rig.Advance(10ms);
  EXPECT_GE(resumed, 1);
  EXPECT_GT(rig.subflow->SendRoom(rig.now), 0u);
}

}  // namespace
}  // namespace mptcptls
