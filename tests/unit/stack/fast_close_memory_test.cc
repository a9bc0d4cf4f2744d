#include "stack/mptcp/fast_close_memory.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr Time kStart{100s};
constexpr FastClose kOne{{1, 2, 3, 4, 5, 6, 7, 8}}, kOther{{9}};

FourTuple Tuple(uint32_t host) {
  return {{IpAddress::V4(0x0a000001u), 443}, {IpAddress::V4(host), 50'000}};
}

TEST(FastCloseMemory, KeepsWhatWasSaidUntilItExpires) {
  TimerQueue timers;
  FastCloseMemory memory(&timers);
  memory.Remember(kStart, Tuple(1), kOne);
  ASSERT_TRUE(memory.Find(Tuple(1)));
  EXPECT_EQ(memory.Find(Tuple(1))->key, kOne.key);
  EXPECT_FALSE(memory.Find(Tuple(2)));
  memory.Remember(kStart + 1s, Tuple(2), kOther);
  timers.Advance(kStart + FastCloseMemory::kLifetime);
  EXPECT_FALSE(memory.Find(Tuple(1)));
  EXPECT_TRUE(memory.Find(Tuple(2)));
  timers.Advance(kStart + 1s + FastCloseMemory::kLifetime);
  EXPECT_EQ(memory.size(), 0u);
  EXPECT_EQ(timers.armed(), 0u);
}

TEST(FastCloseMemory, TheLastWordOfATupleCounts) {
  TimerQueue timers;
  FastCloseMemory memory(&timers);
  memory.Remember(kStart, Tuple(1), kOne);
  memory.Remember(kStart + 5s, Tuple(1), kOther);
  timers.Advance(kStart + FastCloseMemory::kLifetime);
  ASSERT_TRUE(memory.Find(Tuple(1)));
  EXPECT_EQ(memory.Find(Tuple(1))->key, kOther.key);
}

TEST(FastCloseMemory, IsBoundedAndKeepsTheNewest) {
  TimerQueue timers;
  FastCloseMemory memory(&timers);
  for (uint32_t i = 0; i < FastCloseMemory::kMaxEntries + 10; ++i) {
    memory.Remember(kStart + Duration(i), Tuple(i), kOne);
  }
  EXPECT_EQ(memory.size(), FastCloseMemory::kMaxEntries);
  EXPECT_FALSE(memory.Find(Tuple(9)));
  EXPECT_TRUE(memory.Find(Tuple(10)));
}

}  // namespace
}  // namespace mptcptls
