// Which path carries which bytes: new ones, some again, acknowledged ones.
#include "stack/mptcp/carriers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace mptcptls {
namespace {

using testing::ElementsAre;

std::vector<std::string> Of(const Carriers& carriers) {
  std::vector<std::string> all;
  for (const Carriers::Range& r : carriers.ranges()) {
    all.push_back(std::to_string(r.begin) + "-" + std::to_string(r.end) + " on " +
                  std::to_string(r.path));
  }
  return all;
}

TEST(Carriers, NeighboursOnOnePathAreOneRange) {
  Carriers carriers;
  carriers.Sent(0, 10, 1);
  carriers.Sent(10, 20, 1);
  carriers.Sent(20, 30, 2);
  carriers.Sent(30, 40, 1);
  EXPECT_THAT(Of(carriers), ElementsAre("0-20 on 1", "20-30 on 2", "30-40 on 1"));
  EXPECT_EQ(carriers.CheckInvariants(0, 40), "");
  EXPECT_NE(carriers.CheckInvariants(0, 41), "");
  EXPECT_NE(carriers.CheckInvariants(1, 40), "");
}

TEST(Carriers, TheLastTransmissionCounts) {
  Carriers carriers;
  carriers.Sent(0, 100, 1);
  carriers.Sent(40, 60, 2);
  EXPECT_THAT(Of(carriers), ElementsAre("0-40 on 1", "40-60 on 2", "60-100 on 1"));
  carriers.Sent(30, 70, 3);  // covers one and cuts its neighbours
  EXPECT_THAT(Of(carriers), ElementsAre("0-30 on 1", "30-70 on 3", "70-100 on 1"));
  carriers.Sent(30, 70, 1);
  EXPECT_THAT(Of(carriers), ElementsAre("0-100 on 1"));
}

TEST(Carriers, WhatIsAcknowledgedGoes) {
  Carriers carriers;
  carriers.Sent(0, 10, 1);
  carriers.Sent(10, 20, 2);
  carriers.RemoveBelow(15);
  EXPECT_THAT(Of(carriers), ElementsAre("15-20 on 2"));
  carriers.RemoveBelow(20);
  EXPECT_TRUE(carriers.empty());
  carriers.Sent(20, 30, 1);
  EXPECT_EQ(carriers.CheckInvariants(20, 30), "");
}

// Against the plainest thing that could be right: a path for each byte.
TEST(Carriers, AsATableOfBytesWouldSay) {
  Carriers carriers;
  std::array<uint32_t, 200> table{};
  uint64_t next = 0, una = 0;
  uint32_t dice = 1;
  const auto roll = [&](uint64_t below) {
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % below;
  };
  for (int step = 0; step < 3000 && next < table.size(); ++step) {
    const auto path = static_cast<uint32_t>(1 + roll(3));
    uint64_t begin = next, end = next + 1;
    if (roll(10) != 0 && una < next) {
      begin = una + roll(next - una);
      end = begin + 1 + roll(next - begin);
    }
    carriers.Sent(begin, end, path);
    next = std::max(next, end);
    for (uint64_t i = begin; i < end; ++i) table[i] = path;
    if (roll(20) == 0) {
      una += roll(next - una + 1);
      carriers.RemoveBelow(una);
    }
    ASSERT_EQ(carriers.CheckInvariants(una, next), "");
    for (const Carriers::Range& r : carriers.ranges()) {
      for (uint64_t i = r.begin; i < r.end; ++i) ASSERT_EQ(table[i], r.path) << i;
    }
  }
  EXPECT_EQ(next, table.size());
}

}  // namespace
}  // namespace mptcptls
