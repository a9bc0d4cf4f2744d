// Arrival of segments: RFC 9293 3.10.7, RFC 7323 5, RFC 5961.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr auto A = Tins::TCP::ACK;
constexpr auto S = Tins::TCP::SYN;
constexpr auto R = Tins::TCP::RST;
constexpr auto F = Tins::TCP::FIN;
constexpr auto P = Tins::TCP::PSH;

TEST(Handshake, SynHasTheOptionsAndIsRepeated) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.ExpectSent(S, 0, 0 - SubflowRig::kPeerIsn, 0);
  rig.Advance(1s);
  rig.ExpectSent(S, 0, 0 - SubflowRig::kPeerIsn, 0);
  rig.Advance(1999ms);
  rig.ExpectNothing();
  rig.Advance(1ms);
  rig.ExpectSent(S, 0, 0 - SubflowRig::kPeerIsn, 0);
  rig.Input({.seq = 0, .ack = 1, .flags = S | A});
  rig.ExpectSent(A, 1, 1, 0);
  rig.ExpectNothing();
}

TEST(Handshake, RefusedByAnAcceptableResetOnly) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.sent.clear();
  rig.Input({.seq = 0, .ack = 2, .flags = R | A});
  EXPECT_FALSE(rig.closed);
  rig.Input({.seq = 0, .ack = 1, .flags = R | A});
  EXPECT_EQ(rig.closed, CloseReason::kRefused);
  rig.ExpectNothing();
}

TEST(Handshake, WrongAckOfSynAckIsReset) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.sent.clear();
  rig.Input({.seq = 0, .ack = 77, .flags = S | A});
  ASSERT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.sent[0].flags & R, R);
  EXPECT_EQ(rig.sent[0].seq, 77u);
  EXPECT_FALSE(rig.closed);
}

TEST(Arrival, DataIsDeliveredOnceInOrder) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .flags = A | P, .payload = "hello"});
  rig.ExpectSent(A, 1, 6, 0);
  rig.Input({.seq = 1, .flags = A | P, .payload = "hello"});
  rig.ExpectSent(A, 1, 6, 0);
  rig.Input({.seq = 4, .flags = A | P, .payload = "lo, world"});
  rig.ExpectSent(A, 1, 13, 0);
  EXPECT_EQ(rig.received, "hello, world");
}

// RFC 9293 3.8.5, RFC 6093 6: urgent data is a part of the stream, wherever the pointer shows.
TEST(Arrival, UrgentBytesStayInTheStream) {
  constexpr uint16_t kUrgent = Tins::TCP::URG;
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .flags = A | P | kUrgent, .payload = "hel!", .urgent = 4});
  rig.Input({.seq = 5, .flags = A | kUrgent, .urgent = 60000});  // far ahead, and no payload
  rig.Input({.seq = 5, .flags = A | P | kUrgent, .payload = "lo", .urgent = 0});
  EXPECT_EQ(rig.received, "hel!lo");
  EXPECT_FALSE(rig.closed);
}

TEST(Arrival, HolesAreReportedAndFilled) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 11, .payload = "cc"});
  rig.Input({.seq = 21, .payload = "ee"});
  rig.Input({.seq = 13, .payload = "dd"});
  ASSERT_EQ(rig.sent.size(), 3u);
  using Blocks = std::vector<std::pair<uint32_t, uint32_t>>;
  EXPECT_EQ(rig.sent[0].sack, (Blocks{{11, 13}}));
  EXPECT_EQ(rig.sent[1].sack, (Blocks{{21, 23}, {11, 13}}));
  // RFC 2018 4: the block that changed comes first, whole.
  EXPECT_EQ(rig.sent[2].sack, (Blocks{{11, 15}, {21, 23}}));
  EXPECT_EQ(rig.sent[2].ack, 1u);
  rig.sent.clear();
  rig.Input({.seq = 1, .payload = "0123456789"});
  rig.ExpectSent(A, 1, 15, 0);
  rig.Input({.seq = 15, .payload = "abcdef"});
  rig.ExpectSent(A, 1, 23, 0);
  EXPECT_EQ(rig.received, "0123456789ccddabcdefee");
}

TEST(Arrival, DelayedAckIsSentInTime) {
  SubflowRig rig;
  rig.Open();
  uint32_t seq = 1;
  for (int i = 0; i < 20; ++i, ++seq) rig.Input({.seq = seq, .payload = "x"});
  rig.sent.clear();
  rig.Advance(100ms);
  rig.sent.clear();
  rig.Input({.seq = seq, .payload = "x"});
  rig.ExpectNothing();
  rig.Advance(39ms);
  rig.ExpectNothing();
  rig.Advance(1ms);
  rig.ExpectSent(A, 1, seq + 1, 0);
}

TEST(Arrival, BeyondTheWindowIsRefused) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1 + 70000, .payload = "x"});
  rig.ExpectSent(A, 1, 1, 0);
  EXPECT_EQ(rig.counters.drop_out_of_window, 1u);
  EXPECT_EQ(rig.received, "");
}

// RFC 7323 5: a segment with an old timestamp is not taken, whatever its sequence number.
TEST(Paws, OldTimestampIsRefused) {
  SubflowRig rig;
  rig.Open();
  rig.peer_clock = 6000;
  rig.Input({.seq = 1, .payload = "new"});
  rig.sent.clear();
  rig.Input({.seq = 4, .payload = "old", .timestamp = 5999});
  rig.ExpectSent(A, 1, 4, 0);
  EXPECT_EQ(rig.received, "new");
  EXPECT_EQ(rig.counters.drop_paws, 1u);
  rig.Input({.seq = 4, .payload = "equal", .timestamp = 6000});
  EXPECT_EQ(rig.received, "newequal");
}

// RFC 7323 4.3: an early segment must not move TS.Recent past those that fill the hole.
TEST(Paws, EarlySegmentDoesNotMoveTheClock) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 5, .payload = "late", .timestamp = 9000});
  rig.Input({.seq = 1, .payload = "fill", .timestamp = 8000});
  EXPECT_EQ(rig.received, "filllate");
}

TEST(Reset, OnlyTheExactSequenceNumberCounts) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 2, .flags = R | A});  // in the window: a challenge (RFC 5961 3.2)
  rig.ExpectSent(A, 1, 1, 0);
  EXPECT_EQ(rig.counters.challenge_acks, 1u);
  rig.Input({.seq = 0x20000000, .flags = R});  // out of it: nothing
  rig.ExpectNothing();
  EXPECT_FALSE(rig.closed);
  rig.Input({.seq = 1, .flags = R});
  EXPECT_EQ(rig.closed, CloseReason::kReset);
  rig.ExpectNothing();
}

TEST(Reset, SynIsChallenged) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 100, .flags = S});
  rig.ExpectSent(A, 1, 1, 0);
  EXPECT_FALSE(rig.closed);
  EXPECT_EQ(rig.counters.challenge_acks, 1u);
}

TEST(Reset, ChallengesAreLimited) {
  SubflowRig rig;
  rig.Open();
  for (int i = 0; i < 50; ++i) rig.Input({.seq = 2, .flags = R});
  EXPECT_EQ(rig.sent.size(), 10u);
  EXPECT_EQ(rig.counters.challenge_acks_limited, 40u);
  rig.Advance(1s);
  rig.Input({.seq = 2, .flags = R});
  EXPECT_EQ(rig.sent.size(), 11u);
}

// RFC 5961 5.2
TEST(Ack, OfWhatWasNeverSentIsChallenged) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .ack = 5000, .payload = "forged"});
  rig.ExpectSent(A, 1, 1, 0);
  EXPECT_EQ(rig.received, "");
  EXPECT_EQ(rig.counters.challenge_acks, 1u);
}

TEST(Close, PeerFirst) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .flags = F | A});
  EXPECT_TRUE(rig.fin);
  rig.ExpectSent(A, 1, 2, 0);
  EXPECT_EQ(rig.subflow->state(), TcpState::kCloseWait);
  rig.subflow->Close(rig.now);
  rig.ExpectSent(F | A, 1, 2, 0);
  rig.Input({.seq = 2, .ack = 2});
  EXPECT_EQ(rig.closed, CloseReason::kClosed);
  EXPECT_EQ(rig.timers.armed(), 0u);
}

TEST(Close, OursFirstThenTimeWait) {
  SubflowRig rig;
  rig.Open();
  rig.subflow->Close(rig.now);
  rig.ExpectSent(F | A, 1, 1, 0);
  rig.Input({.seq = 1, .ack = 2});
  EXPECT_EQ(rig.subflow->state(), TcpState::kFinWait2);
  rig.Input({.seq = 1, .ack = 2, .flags = A | P, .payload = "still"});
  EXPECT_EQ(rig.received, "still");
  rig.sent.clear();
  rig.Input({.seq = 6, .ack = 2, .flags = F | A});
  rig.ExpectSent(A, 2, 7, 0);
  EXPECT_EQ(rig.subflow->state(), TcpState::kTimeWait);
  // A repeated FIN is acknowledged again; a RST does not cut TIME-WAIT short (RFC 1337).
  rig.Input({.seq = 6, .ack = 2, .flags = F | A});
  rig.ExpectSent(A, 2, 7, 0);
  rig.Input({.seq = 7, .flags = R});
  EXPECT_FALSE(rig.closed);
  rig.Advance(60s);
  EXPECT_EQ(rig.closed, CloseReason::kClosed);
}

TEST(Close, BothAtOnce) {
  SubflowRig rig;
  rig.Open();
  rig.subflow->Close(rig.now);
  rig.Input({.seq = 1, .ack = 1, .flags = F | A});
  EXPECT_EQ(rig.subflow->state(), TcpState::kClosing);
  rig.Input({.seq = 2, .ack = 2});
  EXPECT_EQ(rig.subflow->state(), TcpState::kTimeWait);
}

TEST(Close, EarlyFinWaitsForItsBytes) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 4, .flags = F | A});
  EXPECT_FALSE(rig.fin);
  rig.Input({.seq = 1, .payload = "abc"});
  EXPECT_TRUE(rig.fin);
  EXPECT_EQ(rig.received, "abc");
}

// A broken peer goes on after its FIN: the stream has ended, in whatever order the packets come.
TEST(Close, NothingLiesBeyondTheFin) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 8, .payload = "beyond"});
  rig.Input({.seq = 4, .flags = F | A});
  rig.Input({.seq = 1, .payload = "abcdef"});
  EXPECT_EQ(rig.received, "abc");
  EXPECT_TRUE(rig.fin);
  EXPECT_EQ(rig.subflow->state(), TcpState::kCloseWait);
  rig.Input({.seq = 4, .payload = "more"});
  EXPECT_EQ(rig.received, "abc");
}

TEST(Close, FinBehindBytesThatCameBefore) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .payload = "abcdef"});
  rig.Input({.seq = 1, .flags = F | A, .payload = "abc"});  // that end was passed
  EXPECT_FALSE(rig.fin);
  rig.Input({.seq = 4, .flags = F | A, .payload = "def"});
  EXPECT_TRUE(rig.fin);
  EXPECT_EQ(rig.received, "abcdef");
}

}  // namespace
}  // namespace mptcptls
