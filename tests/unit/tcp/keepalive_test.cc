// Silence: keepalive (RFC 9293 3.8.4), the user timeout (RFC 5482), and the window that stays
// closed.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr auto A = Tins::TCP::ACK;
constexpr auto P = Tins::TCP::PSH;
constexpr auto R = Tins::TCP::RST;

Patience Alert() {
  return {.keepalive = true, .idle = 10s, .interval = 2s, .probes = 3, .user_timeout = 0s};
}

TEST(Keepalive, OffByDefault) {
  SubflowRig rig;
  rig.Open();
  rig.Advance(24h);
  rig.ExpectNothing();
  EXPECT_EQ(rig.timers.armed(), 0u);
}

TEST(Keepalive, ProbesAndGivesUp) {
  SubflowRig rig;
  rig.config.patience = Alert();
  rig.Open();
  rig.Advance(9999ms);
  rig.ExpectNothing();
  rig.Advance(1ms);
  rig.ExpectSent(A, 0, 1, 0);  // the byte before the next: acknowledged already
  rig.Advance(2s);
  rig.ExpectSent(A, 0, 1, 0);
  rig.Advance(2s);
  rig.ExpectSent(A, 0, 1, 0);
  rig.Advance(1999ms);
  rig.ExpectNothing();
  EXPECT_FALSE(rig.closed);
  rig.Advance(1ms);
  rig.ExpectSent(R | A, 1, 1, 0);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
  EXPECT_EQ(rig.counters.keepalive_probes, 3u);
  EXPECT_EQ(rig.counters.keepalive_timeouts, 1u);
  EXPECT_EQ(rig.timers.armed(), 0u);
}

TEST(Keepalive, AnswerBeginsANewTime) {
  SubflowRig rig;
  rig.config.patience = Alert();
  rig.Open();
  for (int round = 0; round < 20; ++round) {
    rig.Advance(10s);
    rig.ExpectSent(A, 0, 1, 0);
    rig.Advance(2s);
    rig.ExpectSent(A, 0, 1, 0);
    rig.Input({.seq = 1, .ack = 1});
    rig.ExpectNothing();
  }
  EXPECT_FALSE(rig.closed);
}

// What is unacknowledged is repeated anyway.
TEST(Keepalive, IsSilentWhileSomethingIsOutstanding) {
  SubflowRig rig;
  rig.config.patience = Alert();
  rig.Open();
  rig.Send(100);
  rig.Advance(100s);
  EXPECT_EQ(rig.counters.keepalive_probes, 0u);
  EXPECT_GT(rig.counters.rto_fired, 3u);
}

TEST(Keepalive, TurnedOnLater) {
  SubflowRig rig;
  rig.Open();
  rig.Advance(60s);
  rig.subflow->SetPatience(rig.now, Alert());
  rig.Advance(0s);  // it has been silent for long enough
  rig.ExpectSent(A, 0, 1, 0);
  rig.subflow->SetPatience(rig.now, Patience());
  rig.Advance(1h);
  rig.ExpectNothing();
  EXPECT_FALSE(rig.closed);
}

// As in Linux: with a user timeout the number of probes does not count.
TEST(Keepalive, UserTimeoutEndsItInstead) {
  SubflowRig rig;
  rig.config.patience = Alert();
  rig.config.patience.user_timeout = 25s;
  rig.Open();
  rig.Advance(25s);
  EXPECT_FALSE(rig.closed);
  rig.Advance(1s);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
  EXPECT_EQ(rig.counters.keepalive_probes, 8u);  // at 10, 12 ... 24 s
}

TEST(Keepalive, OfThePeerIsAnswered) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.seq = 1, .flags = A | P, .payload = "x"});
  rig.sent.clear();
  rig.Input({.seq = 1});
  rig.ExpectSent(A, 1, 2, 0);
  // With the byte of garbage that old hosts send.
  rig.Input({.seq = 1, .payload = "?"});
  rig.ExpectSent(A, 1, 2, 0);
  EXPECT_EQ(rig.received, "x");
}

TEST(UserTimeout, BoundsUnacknowledgedData) {
  SubflowRig rig;
  rig.config.patience.user_timeout = 5s;
  rig.Open();
  rig.Send(100);
  rig.Advance(4999ms);
  EXPECT_FALSE(rig.closed);
  rig.Advance(1ms);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
}

TEST(UserTimeout, LongerThanTheRetransmissionsToo) {
  SubflowRig rig;
  rig.config.patience.user_timeout = 2h;
  rig.Open();
  rig.Send(100);
  rig.Advance(2h - 1ms);
  EXPECT_FALSE(rig.closed);
  rig.Advance(1ms);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
}

TEST(UserTimeout, ProgressBeginsANewTime) {
  SubflowRig rig;
  rig.config.patience.user_timeout = 5s;
  rig.Open();
  rig.Send(100);
  for (uint32_t n = 1; n <= 10; ++n) {
    rig.Advance(4s);
    EXPECT_FALSE(rig.closed);
    rig.Send(100);
    rig.Input({.seq = 1, .ack = 1 + n * 100});
  }
  EXPECT_FALSE(rig.closed);
}

TEST(UserTimeout, BoundsTheSyn) {
  SubflowRig rig;
  rig.config.patience.user_timeout = 2500ms;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.Advance(2499ms);
  EXPECT_FALSE(rig.closed);
  rig.Advance(1ms);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
}

TEST(UserTimeout, SetWhileDataWaits) {
  SubflowRig rig;
  rig.Open();
  rig.Send(100);
  rig.Advance(20s);
  rig.subflow->SetPatience(rig.now, {.user_timeout = 10s});
  rig.Advance(0s);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
}

// The peer answers each probe and keeps its window closed.
void CloseWindowFor(SubflowRig* rig, Duration time) {
  rig->Open();
  rig->Input({.seq = 1, .ack = 1, .window = 0});
  rig->Send(1);  // the owner's probe
  const Time until = rig->now + time;
  while (!rig->closed && rig->now < until) {
    rig->sent.clear();
    rig->Advance(100ms);
    if (!rig->sent.empty() && !rig->closed) rig->Input({.seq = 1, .ack = 1, .window = 0});
  }
}

// RFC 9293 3.8.6.1: as long as it answers, it may keep its window closed.
TEST(ZeroWindow, ProbesNeverGiveUpOnAPeerThatAnswers) {
  SubflowRig rig;
  CloseWindowFor(&rig, 24h);
  EXPECT_FALSE(rig.closed);
  EXPECT_GT(rig.counters.zero_window_probes, 24u * 60 / 3);
  rig.Input({.seq = 1, .ack = 2});
  EXPECT_EQ(rig.acked, 1u);
}

TEST(ZeroWindow, UserTimeoutBoundsItAllTheSame) {
  SubflowRig rig;
  rig.config.patience.user_timeout = 30s;
  const Time begin = rig.now;
  CloseWindowFor(&rig, 1h);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
  EXPECT_LT(rig.now - begin, 31s);
}

}  // namespace
}  // namespace mptcptls
