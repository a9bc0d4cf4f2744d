// Coupled congestion control: the formulas of RFC 6356 and of the drafts, computed by hand, and who
// belongs to the group.
#include <gtest/gtest.h>

#include <memory>

#include "stack/tcp/congestion.h"
#include "stack/tcp/congestion_group.h"
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kMss = 1000;
constexpr Time kNow{100s};
constexpr CongestionAlgorithm kCoupled[] = {CongestionAlgorithm::kLia, CongestionAlgorithm::kOlia,
                                            CongestionAlgorithm::kBalia};

// One subflow of the group, in congestion avoidance.
struct Path {
  std::unique_ptr<CongestionControl> control;
  Duration rtt;

  Path(CongestionAlgorithm algorithm, CongestionGroup* group, uint32_t window, Duration rtt_)
      : control(CongestionControl::Create(algorithm, group)), rtt(rtt_) {
    control->Init(kMss);
    Lose(2 * window);
    control->set_cwnd(window);
    Tell(kNow, 0);
    EXPECT_FALSE(control->in_slow_start());
  }
  // A loss with so much under way; the window is not moved yet.
  void Lose(uint32_t in_flight) {
    control->Remember();
    control->OnCongestion(in_flight);
  }
  void Tell(Time now, uint32_t bytes, bool reducing = false) {
    control->OnDelivered(now, bytes, rtt, reducing);
  }
  // By how much the window grows when 1,000 bytes are acknowledged. Only this: the rest of the
  // group sees nothing of it.
  int64_t Growth(Time now = kNow, uint32_t bytes = 1000) {
    const int64_t before = control->cwnd();
    Tell(now, 0);
    control->OnAcked(now, bytes, rtt);
    return control->cwnd() - before;
  }
  void Round() {
    const uint32_t window = control->cwnd();
    for (uint32_t acked = 0; acked < window; acked += kMss) {
      Tell(kNow, kMss);
      control->OnAcked(kNow, kMss, rtt);
    }
  }
};

TEST(Coupled, AloneEachIsNewReno) {  // RFC 6356 3
  for (const CongestionAlgorithm algorithm : kCoupled) {
    CongestionGroup group;
    Path path(algorithm, &group, 50 * kMss, 100ms);
    for (int i = 0; i < 10; ++i) path.Round();
    EXPECT_NEAR(path.control->cwnd(), 60 * kMss, kMss);
    path.Lose(60 * kMss);
    EXPECT_EQ(path.control->ssthresh(), 30 * kMss);
  }
}

TEST(Coupled, WithoutAGroupEachIsNewReno) {
  for (const CongestionAlgorithm algorithm : kCoupled) {
    Path path(algorithm, nullptr, 50 * kMss, 100ms);
    path.Round();
    EXPECT_EQ(path.control->cwnd(), 51 * kMss);
  }
}

// Two windows of 10,000 bytes and 100 ms: the sum of rates is 200,000 bytes a second. All three:
// 10,000 / 0.1^2 / 200,000^2 = 1 / 40,000, a quarter of TCP's 1 / 10,000 on each.
TEST(Coupled, LikePathsGrowAQuarterAsFastEach) {
  for (const CongestionAlgorithm algorithm : kCoupled) {
    CongestionGroup group;
    Path a(algorithm, &group, 10 * kMss, 100ms), b(algorithm, &group, 10 * kMss, 100ms);
    EXPECT_EQ(a.Growth(), 25);
    EXPECT_NEAR(b.Growth(), 25, 1);  // a's window is 10,025 now
  }
}

TEST(Lia, UnlikePathsShareTheIncreaseOfTheBest) {  // RFC 6356 3
  CongestionGroup group;
  Path a(CongestionAlgorithm::kLia, &group, 20 * kMss, 100ms);
  Path b(CongestionAlgorithm::kLia, &group, 10 * kMss, 50ms);
  // MAX(2,000,000; 4,000,000) / 400,000^2 = 1 / 40,000 on either.
  EXPECT_EQ(a.Growth(), 25);
  EXPECT_NEAR(b.Growth(), 25, 1);
}

TEST(Lia, NoPathGrowsFasterThanTcp) {  // RFC 6356 3: the min
  CongestionGroup group;
  Path slow(CongestionAlgorithm::kLia, &group, 40 * kMss, 400ms);
  Path fast(CongestionAlgorithm::kLia, &group, 10 * kMss, 20ms);
  // 25,000,000 / 600,000^2 = 1 / 14,400, where TCP has 1 / 40,000 and 1 / 10,000.
  EXPECT_EQ(fast.Growth(), 69);
  EXPECT_EQ(slow.Growth(), 25);
}

TEST(Olia, UnlikeRatesGrowInProportion) {
  CongestionGroup group;
  Path a(CongestionAlgorithm::kOlia, &group, 20 * kMss, 100ms);
  Path b(CongestionAlgorithm::kOlia, &group, 10 * kMss, 100ms);
  a.Tell(kNow, 50'000);  // the best and the largest: nothing moves
  b.Tell(kNow, 10'000);
  // 20,000 / 0.1^2 / 300,000^2 = 1 / 45,000 and 1 / 90,000.
  EXPECT_EQ(a.Growth(), 22);
  EXPECT_EQ(b.Growth(), 11);
}

TEST(Olia, TheWindowMovesToThePathThatLosesLeast) {
  CongestionGroup group;
  Path full(CongestionAlgorithm::kOlia, &group, 20 * kMss, 100ms);
  Path best(CongestionAlgorithm::kOlia, &group, 10 * kMss, 100ms);
  full.Tell(kNow, 10'000);
  best.Tell(kNow, 100'000);
  // 1 / 90,000 + 1/2 / 10,000, and 1 / 45,000 - 1/2 / 20,000 = -1 / 360,000.
  EXPECT_EQ(best.Growth(), 61);
  EXPECT_NEAR(full.Growth(kNow, 36'000), -100, 2);
  EXPECT_FALSE(full.control->in_slow_start());
}

TEST(Olia, RoundTripTimesCountInWhatAPathPromises) {
  CongestionGroup group;
  Path full(CongestionAlgorithm::kOlia, &group, 20 * kMss, 100ms);
  Path near(CongestionAlgorithm::kOlia, &group, 10 * kMss, 20ms);
  full.Tell(kNow, 100'000);
  near.Tell(kNow, 10'000);  // 25,000,000 to 10,000,000
  EXPECT_LT(full.Growth(kNow, 100'000), 0);
}

TEST(Olia, TheDistanceOfLossesIsTheLongerOfTheLastTwo) {
  CongestionGroup group;
  Path full(CongestionAlgorithm::kOlia, &group, 20 * kMss, 100ms);
  Path other(CongestionAlgorithm::kOlia, &group, 10 * kMss, 100ms);
  full.Tell(kNow, 50'000);
  other.Tell(kNow, 100'000);
  EXPECT_LT(full.Growth(kNow, 100'000), 0);
  other.Lose(10 * kMss);  // the 100,000 were between two losses now
  EXPECT_LT(full.Growth(kNow, 100'000), 0);
  other.Tell(kNow, 1'000);
  other.Lose(10 * kMss);  // and now 1,000 were
  EXPECT_GT(full.Growth(kNow, 10'000), 0);
  other.control->Undo();  // that was no loss
  EXPECT_LT(full.Growth(kNow, 100'000), 0);
}

TEST(Olia, NothingShrinksBelowTwoSegments) {
  CongestionGroup group;
  Path full(CongestionAlgorithm::kOlia, &group, 20 * kMss, 100ms);
  Path best(CongestionAlgorithm::kOlia, &group, 10 * kMss, 100ms);
  best.Tell(kNow, 100'000);
  EXPECT_LT(full.Growth(kNow, 1'000'000'000), 0);
  EXPECT_EQ(full.control->cwnd(), 2 * kMss);
}

TEST(Balia, IncreaseIsBalanced) {
  CongestionGroup group;
  Path a(CongestionAlgorithm::kBalia, &group, 20 * kMss, 100ms);
  Path b(CongestionAlgorithm::kBalia, &group, 10 * kMss, 100ms);
  // alpha is 1 and 2: 1 / 45,000, and 1 / 90,000 * 3/2 * 6/5 = 1 / 50,000.
  EXPECT_EQ(a.Growth(), 22);
  EXPECT_NEAR(b.Growth(), 20, 1);
}

TEST(Balia, TheSlowerPathGivesUpMore) {
  CongestionGroup group;
  Path fastest(CongestionAlgorithm::kBalia, &group, 48 * kMss, 100ms);
  Path slower(CongestionAlgorithm::kBalia, &group, 40 * kMss, 100ms);
  Path slowest(CongestionAlgorithm::kBalia, &group, 20 * kMss, 100ms);
  slower.Lose(40 * kMss);  // alpha 1.2: 6/10 are given up
  EXPECT_EQ(slower.control->ssthresh(), 16 * kMss);
  slowest.Lose(20 * kMss);  // alpha 2.4, at most 1.5: three quarters
  EXPECT_EQ(slowest.control->ssthresh(), 5 * kMss);
  fastest.Lose(48 * kMss);
  EXPECT_EQ(fastest.control->ssthresh(), 24 * kMss);
}

TEST(CongestionGroup, WhoIsSilentIsNotCounted) {
  for (const CongestionAlgorithm algorithm : kCoupled) {
    CongestionGroup group;
    Path a(algorithm, &group, 10 * kMss, 100ms), b(algorithm, &group, 10 * kMss, 100ms);
    b.control->OnSilence();
    EXPECT_EQ(a.Growth(), 100);
    b.Tell(kNow, 0);
    EXPECT_LT(a.Growth(), 30);
  }
}

TEST(CongestionGroup, WhoIsIdleIsNotCounted) {  // RFC 5681 4.1
  CongestionGroup group;
  Path a(CongestionAlgorithm::kLia, &group, 10 * kMss, 100ms);
  Path b(CongestionAlgorithm::kLia, &group, 10 * kMss, 100ms);
  EXPECT_LT(a.Growth(kNow + 1s), 30);
  EXPECT_GT(a.Growth(kNow + 1001ms), 95);
  Path far(CongestionAlgorithm::kLia, &group, 10 * kMss, 2s);
  EXPECT_LT(a.Growth(kNow + 4s), 95);
  EXPECT_GT(a.Growth(kNow + 4001ms), 95);
}

TEST(CongestionGroup, WhoIsGoneIsNotCounted) {
  CongestionGroup group;
  Path a(CongestionAlgorithm::kLia, &group, 10 * kMss, 100ms);
  {
    const Path b(CongestionAlgorithm::kLia, &group, 10 * kMss, 100ms);
    EXPECT_EQ(a.Growth(), 25);
  }
  EXPECT_GT(a.Growth(), 95);
}

// While a window is on its way down, the others see where it goes: what is under way in between
// (RFC 6937) says nothing of the path.
TEST(CongestionGroup, ARecoveringWindowIsSeenAsItWillBe) {
  CongestionGroup group;
  Path a(CongestionAlgorithm::kLia, &group, 10 * kMss, 100ms);
  Path b(CongestionAlgorithm::kLia, &group, 20 * kMss, 100ms);
  b.Lose(20 * kMss);
  b.Tell(kNow, 1000, true);
  EXPECT_EQ(a.Growth(), 25);
}

int Counted(const CongestionGroup& group, Time now) {
  int n = 0;
  group.ForEach({.heard = now, .window = 0, .rtt = 0}, [&](const auto&) { ++n; });
  return n;
}

TEST(CongestionGroup, ASubflowLeavesWhenItTimesOutOrEnds) {
  CongestionGroup group;
  SubflowRig rig;
  rig.config.policy.congestion = CongestionAlgorithm::kLia;
  rig.config.congestion_group = &group;
  rig.Open();
  EXPECT_EQ(Counted(group, rig.now), 0);  // its window was never used
  rig.Send(1000);
  rig.Advance(20ms);
  rig.Input({.ack = 1001});
  EXPECT_EQ(Counted(group, rig.now), 1);
  rig.Send(1000);
  rig.Advance(600ms);
  EXPECT_GT(rig.counters.rto_fired, 0u);
  EXPECT_EQ(Counted(group, rig.now), 0);
  rig.Input({.ack = 2001});
  EXPECT_EQ(Counted(group, rig.now), 1);
  rig.subflow->Abort(rig.now);
  EXPECT_EQ(Counted(group, rig.now), 0);
}

}  // namespace
}  // namespace mptcptls
