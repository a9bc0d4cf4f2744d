// The window's arithmetic: slow start, HyStart++, CUBIC's curve, NewReno's line, and going back.
#include "stack/tcp/congestion.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kMss = 1000;

std::unique_ptr<CongestionControl> Make(CongestionAlgorithm algorithm) {
  auto made = CongestionControl::Create(algorithm);
  made->Init(kMss);
  return made;
}

// One loss at `cwnd`, recovered: congestion avoidance from there.
void LoseAt(CongestionControl* c, uint32_t cwnd) {
  c->set_cwnd(cwnd);
  c->Remember();
  c->OnCongestion(cwnd);
  c->set_cwnd(c->ssthresh());
}

// A round trip in which the whole window is acknowledged.
void Round(CongestionControl* c, Time now, Duration rtt) {
  const uint32_t window = c->cwnd();
  for (uint32_t acked = 0; acked < window; acked += kMss) c->OnAcked(now, kMss, rtt);
}

TEST(Congestion, BeginsWithTenSegmentsAndDoublesEachRoundTrip) {  // RFC 6928, RFC 5681 3.1
  const auto c = Make(CongestionAlgorithm::kCubic);
  EXPECT_EQ(c->cwnd(), 10 * kMss);
  Round(c.get(), Time{1s}, 20ms);
  EXPECT_EQ(c->cwnd(), 20 * kMss);
}

// One round trip of slow start, `samples` measured at its beginning; how much the window grew.
uint32_t SlowStartRound(CongestionControl* c, Duration rtt, int samples = 8) {
  for (int i = 0; i < samples; ++i) c->OnRtt(rtt);
  const uint32_t before = c->cwnd();
  Round(c, Time{1s}, rtt);
  c->OnRtt(4 * rtt);  // waited behind the round's own packets: says nothing
  c->OnRound();
  return c->cwnd() - before;
}

TEST(Congestion, SlowStartEndsWhenTheRoundTripTimeGrows) {  // RFC 9406 4.2
  const auto c = Make(CongestionAlgorithm::kCubic);
  EXPECT_EQ(SlowStartRound(c.get(), 20ms), 10 * kMss);
  EXPECT_EQ(SlowStartRound(c.get(), 23ms), 20 * kMss);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(c->in_slow_start());
    const uint32_t window = c->cwnd();
    EXPECT_LE(SlowStartRound(c.get(), 30ms), window / 4 + kMss);  // conservative
  }
  EXPECT_FALSE(c->in_slow_start());
}

TEST(Congestion, SlowStartGoesOnWhenTheRoundTripTimeShrinksAgain) {  // RFC 9406 4.2
  const auto c = Make(CongestionAlgorithm::kCubic);
  SlowStartRound(c.get(), 20ms);
  EXPECT_LT(SlowStartRound(c.get(), 30ms), 6 * kMss);
  const uint32_t window = c->cwnd();
  EXPECT_EQ(SlowStartRound(c.get(), 21ms), window / kMss * kMss);
  EXPECT_TRUE(c->in_slow_start());
}

TEST(Congestion, FewSamplesEndNothing) {  // RFC 9406 4.2: N_RTT_SAMPLE
  const auto c = Make(CongestionAlgorithm::kCubic);
  SlowStartRound(c.get(), 20ms);
  EXPECT_EQ(SlowStartRound(c.get(), 60ms, 7), 20 * kMss);
}

TEST(Congestion, CubicReducesToSevenTenths) {  // RFC 9438 4.6
  const auto c = Make(CongestionAlgorithm::kCubic);
  LoseAt(c.get(), 100 * kMss);
  EXPECT_EQ(c->cwnd(), 70 * kMss);
}

TEST(Congestion, CubicIsBackAtItsOldWindowAfterK) {  // RFC 9438 4.2: K = cbrt(30 / 0.4) = 4.2 s
  const auto c = Make(CongestionAlgorithm::kCubic);
  LoseAt(c.get(), 100 * kMss);
  Time now{10s};
  Round(c.get(), now, 100ms);
  for (; now < Time{14s}; now += 100ms) Round(c.get(), now, 100ms);
  EXPECT_NEAR(c->cwnd(), 100 * kMss, 2 * kMss);
  const uint32_t plateau = c->cwnd();
  for (; now < Time{18s}; now += 100ms) Round(c.get(), now, 100ms);
  EXPECT_GT(c->cwnd(), plateau + 15 * kMss);  // convex: 0.4 * 4^3 = 25 segments more
}

TEST(Congestion, CubicsCurveRestsWhileNothingIsSent) {  // RFC 9438 5.8
  const auto c = Make(CongestionAlgorithm::kCubic);
  LoseAt(c.get(), 100 * kMss);
  Round(c.get(), Time{10s}, 100ms);
  const uint32_t before = c->cwnd();
  c->OnIdle(60s, 100s);
  Round(c.get(), Time{70s}, 100ms);
  EXPECT_LT(c->cwnd(), before + 10 * kMss);
}

TEST(Congestion, CubicIsNoSlowerThanRenoOnShortPaths) {  // RFC 9438 4.3
  const auto c = Make(CongestionAlgorithm::kCubic);
  LoseAt(c.get(), 20 * kMss);
  const uint32_t begin = c->cwnd();
  Time now{10s};
  for (int i = 0; i < 40; ++i, now += 1ms) Round(c.get(), now, 1ms);
  // alpha = 0.53 segments a round trip until the old window is reached.
  EXPECT_GT(c->cwnd(), begin + 15 * kMss);
}

TEST(Congestion, NewRenoHalvesAndGrowsByOneSegmentARoundTrip) {  // RFC 5681 3.1
  const auto c = Make(CongestionAlgorithm::kNewReno);
  LoseAt(c.get(), 100 * kMss);
  EXPECT_EQ(c->cwnd(), 50 * kMss);
  for (int i = 0; i < 10; ++i) Round(c.get(), Time{1s}, 20ms);
  EXPECT_EQ(c->cwnd(), 60 * kMss);
}

TEST(Congestion, UndoGoesBackToTheWindowAndTheCurveOfBefore) {  // RFC 9438 4.9, RFC 4015
  for (const auto algorithm : {CongestionAlgorithm::kCubic, CongestionAlgorithm::kNewReno}) {
    const auto c = Make(algorithm);
    LoseAt(c.get(), 100 * kMss);
    const uint32_t ssthresh = c->ssthresh();
    for (int i = 0; i < 5; ++i) Round(c.get(), Time{10s} + i * 100ms, 100ms);
    const uint32_t before = c->cwnd();
    LoseAt(c.get(), before);
    EXPECT_LT(c->cwnd(), before);
    c->Undo();
    EXPECT_EQ(c->cwnd(), before);
    EXPECT_EQ(c->ssthresh(), ssthresh);
    Round(c.get(), Time{10s} + 600ms, 100ms);
    EXPECT_LE(c->cwnd(), before + 10 * kMss);
  }
}

TEST(Congestion, IdleForLongBeginsAgainWithTheInitialWindow) {  // RFC 5681 4.1
  const auto c = Make(CongestionAlgorithm::kCubic);
  c->set_cwnd(100 * kMss);
  c->OnIdle(100ms, 200ms);
  EXPECT_EQ(c->cwnd(), 100 * kMss);
  c->OnIdle(300ms, 200ms);
  EXPECT_EQ(c->cwnd(), 10 * kMss);
}

TEST(Congestion, NeverBelowOneSegmentNorSsthreshBelowTwo) {
  const auto c = Make(CongestionAlgorithm::kNewReno);
  c->OnCongestion(100);
  c->set_cwnd(0);
  EXPECT_EQ(c->cwnd(), kMss);
  EXPECT_EQ(c->ssthresh(), 2 * kMss);
}

TEST(Congestion, APathThatHeldOthersUpGetsHalf) {
  for (const auto algorithm : {CongestionAlgorithm::kCubic, CongestionAlgorithm::kNewReno}) {
    const auto c = Make(algorithm);
    c->set_cwnd(80 * kMss);
    c->Penalise();
    EXPECT_EQ(c->cwnd(), 40 * kMss);
    EXPECT_TRUE(c->in_slow_start()) << "nothing is known of the path";
    LoseAt(c.get(), 100 * kMss);
    const uint32_t before = c->cwnd();
    c->Penalise();
    EXPECT_EQ(c->cwnd(), before / 2);
    EXPECT_EQ(c->ssthresh(), before / 2);
    // It grows from there, without a jump back to where it was.
    Round(c.get(), Time{1s}, 20ms);
    EXPECT_LE(c->cwnd(), before / 2 + 2 * kMss);
    for (int i = 0; i < 20; ++i) c->Penalise();
    EXPECT_EQ(c->cwnd(), 2 * kMss);
  }
}

}  // namespace
}  // namespace mptcptls
