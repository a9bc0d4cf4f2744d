#include "stack/tcp/pacer.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kMss = 1000;

TEST(Pacing, SpreadsAWindowOverItsRoundTrip) {
  Pacer pacer;
  pacer.SetRate(100 * kMss, false, 100ms);  // 1.2 times a megabyte a second
  Time now{10s};
  size_t sent = 0;
  while (now < Time{11s}) {
    if (!pacer.Ready(now)) {
      now = pacer.ReadyAt();
      continue;
    }
    const size_t size = pacer.SegmentSize(kMss, 65000, false);
    EXPECT_EQ(size,
              2u * kMss);  // a millisecond's worth would be 1,200 bytes: two segments at least
    pacer.OnSent(now, size);
    sent += size;
  }
  EXPECT_NEAR(static_cast<double>(sent), 1.2e6, 5e3);
}

TEST(Pacing, TwiceAsFastWhileTheWindowDoubles) {
  Pacer pacer;
  pacer.SetRate(100 * kMss, true, 100ms);
  pacer.OnSent(Time{10s}, 20000);
  EXPECT_EQ(pacer.ReadyAt(), Time{10s} + 10ms - 1ms);  // 2 MB/s, and a millisecond of credit
}

TEST(Pacing, SegmentsAreAMillisecondOfTheRate) {
  Pacer pacer;
  pacer.SetRate(1'000'000, true, 100ms);  // 20 MB/s
  EXPECT_EQ(pacer.SegmentSize(kMss, 65000, false), 20000u);
  EXPECT_EQ(pacer.SegmentSize(kMss, 65000, true), 65000u);  // nearby
  EXPECT_EQ(pacer.SegmentSize(kMss, 1000, false), 1000u);
  pacer.SetRate(100'000'000, true, 100ms);
  EXPECT_EQ(pacer.SegmentSize(kMss, 65000, false), 65000u);
}

TEST(Pacing, TheFirstWindowLeavesAtOnce) {
  Pacer pacer;
  pacer.AllowBurst(10 * kMss);
  pacer.SetRate(10 * kMss, true, 100ms);
  const Time now{10s};
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(pacer.Ready(now));
    pacer.OnSent(now, kMss);
  }
  pacer.OnSent(now, kMss);  // the eleventh counts
  EXPECT_FALSE(pacer.Ready(now));
}

TEST(Pacing, IdleTimeIsNotSavedUp) {
  Pacer pacer;
  pacer.SetRate(100 * kMss, false, 100ms);
  pacer.OnSent(Time{10s}, 1000);
  const Time later{20s};
  size_t burst = 0;
  while (pacer.Ready(later)) {
    pacer.OnSent(later, 1000);
    burst += 1000;
  }
  EXPECT_LE(burst, 3000u);
}

TEST(Pacing, WithoutARateThereIsNoPacing) {
  Pacer pacer;
  pacer.OnSent(Time{10s}, 1'000'000);
  EXPECT_TRUE(pacer.Ready(Time{10s}));
}

}  // namespace
}  // namespace mptcptls
