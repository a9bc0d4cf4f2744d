// The link emulator: its decisions with a clock of the test's own, and the program on a real link.
#include "tests/netns/linkemu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr EmulatorTime kStart{std::chrono::seconds(1000)};

std::vector<uint8_t> Frame(size_t size) { return std::vector<uint8_t>(size, 7); }

LinkemuSettings Settings(const std::string& text) {
  LinkemuSettings settings;
  std::string error;
  EXPECT_TRUE(settings.Parse(text, &error)) << error;
  return settings;
}

TEST(LinkemuSettings, RefuseWhatTheyDoNotKnow) {
  LinkemuSettings settings;
  std::string error;
  for (const char* text : {"delay=20", "loss", "loss=", "loss=many", "loss=-1", "loss=nan"}) {
    EXPECT_FALSE(settings.Parse(std::string("delay_ms=9 ") + text, &error)) << text;
    EXPECT_NE(error, "");
  }
  EXPECT_EQ(settings.delay_ms, 0) << "a refused command changes nothing";
}

TEST(Linkemu, Delays) {
  LinkemuDirection direction(1);
  direction.Enqueue(Settings("delay_ms=20"), Frame(100), kStart);
  EXPECT_EQ(direction.NextDeparture(), kStart + milliseconds(20));
  EXPECT_TRUE(direction.Dequeue(kStart + milliseconds(19)).empty());
  EXPECT_EQ(direction.Dequeue(kStart + milliseconds(20)), Frame(100));
  EXPECT_EQ(direction.NextDeparture(), std::nullopt);
}

TEST(Linkemu, HoldsToItsRateAndDropsWhatTheQueueCannotTake) {
  LinkemuDirection direction(1);
  // 8 Mbit/s is a byte per microsecond; the queue takes 10 KiB beyond the frame that enters.
  const LinkemuSettings settings = Settings("rate_mbit=8 queue_kb=10");
  for (int i = 0; i < 20; ++i) direction.Enqueue(settings, Frame(1000), kStart);
  EXPECT_EQ(direction.stats().queue_full, 9u);
  for (int i = 1; i <= 11; ++i) {
    EXPECT_EQ(direction.NextDeparture(), kStart + milliseconds(i));
    EXPECT_FALSE(direction.Dequeue(kStart + milliseconds(i)).empty());
  }
}

TEST(Linkemu, LosesItsShareAndTheSameOnesForTheSameSeed) {
  const auto lost = [](uint64_t seed) {
    LinkemuDirection direction(seed);
    std::vector<bool> pattern;
    for (int i = 0; i < 10000; ++i) {
      const uint64_t before = direction.stats().lost;
      direction.Enqueue(Settings("loss=0.1"), Frame(1), kStart);
      pattern.push_back(direction.stats().lost > before);
    }
    return pattern;
  };
  const std::vector<bool> pattern = lost(42);
  EXPECT_NEAR(static_cast<double>(std::count(pattern.begin(), pattern.end(), true)), 1000, 150);
  EXPECT_EQ(pattern, lost(42));
  EXPECT_NE(pattern, lost(43));
}

TEST(Linkemu, WhatTheQueueRefusesDoesNotShiftTheDice) {
  const auto lost = [](const std::string& settings) {
    LinkemuDirection direction(42);
    std::vector<int> frames;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t before = direction.stats().lost;
      direction.Enqueue(Settings("loss=0.1 " + settings), Frame(1000), kStart);
      if (direction.stats().lost > before) frames.push_back(i);
    }
    return frames;
  };
  const std::vector<int> frames = lost("");
  EXPECT_GT(frames.size(), 50u);
  EXPECT_EQ(frames, lost("rate_mbit=8 queue_kb=10 jitter_ms=3 reorder=1"));
}

// Sends 50 numbered frames a millisecond apart and returns the order in which they leave.
std::vector<uint8_t> OrderUnder(const std::string& settings) {
  LinkemuDirection direction(7);
  for (uint8_t i = 0; i < 50; ++i) {
    direction.Enqueue(Settings(settings), {i}, kStart + milliseconds(i));
  }
  std::vector<uint8_t> order;
  for (std::vector<uint8_t> f; !(f = direction.Dequeue(kStart + milliseconds(200))).empty();) {
    order.push_back(f[0]);
  }
  return order;
}

TEST(Linkemu, JitterReordersOnlyWhenAsked) {
  const std::vector<uint8_t> kept = OrderUnder("delay_ms=5 jitter_ms=30");
  const std::vector<uint8_t> mixed = OrderUnder("delay_ms=5 jitter_ms=30 reorder=1");
  EXPECT_EQ(kept.size(), 50u);
  EXPECT_EQ(mixed.size(), 50u);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_FALSE(std::is_sorted(mixed.begin(), mixed.end()));
}

double MinimumRttMs(const Host& from, const std::string& address) {
  const std::string text = from.Run("ping -q -c 5 -i 0.05 " + address);
  std::smatch match;
  return std::regex_search(text, match, std::regex(R"(= ([0-9.]+)/)")) ? std::stod(match[1]) : -1;
}

TEST(LinkemuOnALink, DelayIsThere) {
  Lab lab({.links = 1, .middle = Middle::kEmulator});
  const std::string server = lab.Address(lab.server(), 1, Family::kV4);
  lab.Emulator(1, "delay_ms=25");
  // Never less than what was asked for; more is up to how busy the machine is.
  EXPECT_GE(MinimumRttMs(lab.client(), server), 50.0);
  EXPECT_THROW(lab.Emulator(1, "delay_ms=lots"), std::runtime_error);
  EXPECT_THROW(lab.Emulator(1, "restart now"), std::runtime_error);
  EXPECT_THAT(lab.Emulator(1, "stats"), Not(HasSubstr("left_to_right forwarded=0 ")));
  lab.Emulator(1, "restart 7");
  EXPECT_THAT(lab.Emulator(1, "stats"), HasSubstr("left_to_right forwarded=0 "));
}

TEST(LinkemuOnALink, TcpSurvivesLossAndReordering) {
  Lab lab({.links = 1, .middle = Middle::kEmulator});
  Nginx nginx(lab, lab.server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", 2 * kMiB);
  nginx.Start();
  lab.Emulator(1, "delay_ms=2 jitter_ms=2 reorder=1 loss=0.02");
  const std::string copy = lab.folder() + "/copy";
  const CurlResult result = RunCurl(
      lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, Family::kV6), "/file"),
                     .output = copy,
                     .ca = nginx.certificate()});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(FileSha256(copy), sum);
  const std::string stats = lab.Emulator(1, "stats");
  // 2 MiB are about 1,450 packets of at most 1,500 bytes: no large segment got by.
  std::smatch match;
  ASSERT_TRUE(
      std::regex_search(stats, match, std::regex(R"(right_to_left forwarded=(\d+) lost=(\d+))")));
  EXPECT_GT(std::stoi(match[1]), 1400) << stats;
  EXPECT_GT(std::stoi(match[2]), 0) << stats;
  EXPECT_THAT(stats, HasSubstr("unsent=0"));
}

}  // namespace
}  // namespace mptcptls::lab
