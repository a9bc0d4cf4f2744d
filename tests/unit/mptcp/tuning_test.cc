// How large the buffers of a connection are.
#include <gtest/gtest.h>

#include "stack/mptcp/receive_tuning.h"
#include "stack/mptcp/send_tuning.h"
#include "stack/tcp/receive_rtt.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr size_t kMost = 6u << 20;

// A program that reads `rate` bytes a millisecond for a second; the round trip is 20 ms.
void Read(ReceiveTuning* tuning, Time from, size_t rate, bool may_grow = true) {
  for (int i = 0; i < 1000; ++i) tuning->OnRead(from + i * 1ms, rate, 20ms, may_grow);
}

TEST(ReceiveTuning, BeginsSmallAndFollowsTheReader) {
  ReceiveTuning tuning(kMost);
  EXPECT_EQ(tuning.size(), 65536u);
  Read(&tuning, Time(1s), 10'000);
  EXPECT_GE(tuning.size(), 2u * 20 * 10'000);
  EXPECT_LE(tuning.size(), kMost);
}

TEST(ReceiveTuning, SlowReaderChangesNothing) {
  ReceiveTuning tuning(kMost);
  Read(&tuning, Time(1s), 500);
  EXPECT_EQ(tuning.size(), 65536u);
}

TEST(ReceiveTuning, IsBoundedAndNeverShrinks) {
  ReceiveTuning tuning(kMost);
  Read(&tuning, Time(1s), 1'000'000);
  EXPECT_EQ(tuning.size(), kMost);
  Read(&tuning, Time(3s), 1);
  EXPECT_EQ(tuning.size(), kMost);
  ReceiveTuning small(4096);
  EXPECT_EQ(small.size(), 4096u);
  Read(&small, Time(1s), 10'000);
  EXPECT_EQ(small.size(), 4096u);
}

TEST(ReceiveTuning, WaitsForMemoryAndForARoundTrip) {
  ReceiveTuning tuning(kMost);
  Read(&tuning, Time(1s), 10'000, false);
  EXPECT_EQ(tuning.size(), 65536u);
  ReceiveTuning unknown(kMost);
  for (int i = 0; i < 1000; ++i) unknown.OnRead(Time(1s + i * 1ms), 10'000, 0ms, true);
  EXPECT_EQ(unknown.size(), 65536u);
}

TEST(SendTuning, FollowsTheCongestionWindows) {
  SendTuning tuning(4u << 20);
  EXPECT_EQ(tuning.size(), 65536u);
  tuning.OnWindow(10'000, true);
  EXPECT_EQ(tuning.size(), 65536u);
  tuning.OnWindow(500'000, false);
  EXPECT_EQ(tuning.size(), 1'000'000u);
  tuning.OnWindow(100'000, false);
  EXPECT_EQ(tuning.size(), 1'000'000u) << "in the middle of a loss";
  tuning.OnWindow(100'000, true);
  EXPECT_EQ(tuning.size(), 200'000u);
  tuning.OnWindow(1u << 30, false);
  EXPECT_EQ(tuning.size(), 4u << 20);
  SendTuning small(5000);
  small.OnWindow(1'000'000, false);
  EXPECT_EQ(small.size(), 5000u);
}

TEST(ReceiveRtt, FromEchoesOfTimestamps) {
  ReceiveRtt rtt;
  EXPECT_EQ(rtt.rtt(), 0ms);
  rtt.OnEcho(7, 30ms);
  EXPECT_EQ(rtt.rtt(), 30ms);
  rtt.OnEcho(7, 500ms);  // the same echo again, later: nothing new
  EXPECT_EQ(rtt.rtt(), 30ms);
  for (uint32_t i = 8; i < 60; ++i) rtt.OnEcho(i, 50ms);
  EXPECT_NEAR(static_cast<double>(rtt.rtt() / 1ms), 50, 1);
  ReceiveRtt quick;
  quick.OnEcho(1, 0ms);
  EXPECT_EQ(quick.rtt(), 1ms);
}

TEST(ReceiveRtt, FromTheTurnOfTheWindow) {
  ReceiveRtt rtt;
  for (int i = 0; i < 100; ++i) rtt.OnProgress(Time(i * 10ms), 1000u * i, 5000);
  EXPECT_EQ(rtt.rtt(), 50ms);
}

}  // namespace
}  // namespace mptcptls
