#include "stack/source_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

namespace mptcptls {
namespace {

constexpr uint32_t kHere = 7, kThere = 8;  // destinations

std::vector<uint16_t> Ports(size_t count) {
  std::vector<uint16_t> ports(count);
  std::iota(ports.begin(), ports.end(), uint16_t{40000});
  return ports;
}

class Choosing : public testing::Test {
 protected:
  std::optional<uint16_t> Next(uint32_t destination, std::span<const uint16_t> ports,
                               uint32_t random = 0) {
    looked_ = 0;
    return source_ports_.Next(destination, ports, random, [this](uint16_t port) {
      ++looked_;
      return taken_.contains(port);
    });
  }

  SourcePorts source_ports_;
  std::set<uint16_t> taken_;
  size_t looked_ = 0;
};

TEST_F(Choosing, GoesRoundSoThatTheOldestIsNext) {
  const auto ports = Ports(10);
  std::vector<uint16_t> found;
  for (int i = 0; i < 10; ++i) {
    found.push_back(Next(kHere, ports, 0).value());
    EXPECT_EQ(looked_, 1u) << "however many are taken";
    taken_.insert(found.back());
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(ports));
  EXPECT_EQ(Next(kHere, ports), std::nullopt);
  taken_.erase(found[0]);
  EXPECT_EQ(Next(kHere, ports), found[0]);
}

TEST_F(Choosing, LeavesSomeOutAndComesBackToThem) {
  const auto ports = Ports(100);
  for (uint32_t i = 0; i < 100; ++i) {
    const auto port = Next(kHere, ports, i * 2654435761u);
    ASSERT_TRUE(port) << i;
    ASSERT_TRUE(taken_.insert(*port).second);
  }
  // That none was asked to skip more than three.
  const auto first = Next(kThere, Ports(1000), 500);
  const auto second = Next(kThere, Ports(1000), 503);
  EXPECT_EQ(second.value() - first.value(), 4);
}

TEST_F(Choosing, BeginsAnywhereForEachDestination) {
  const auto ports = Ports(1000);
  EXPECT_EQ(Next(kHere, ports, 400), 40400);
  EXPECT_EQ(Next(kThere, ports, 800), 40800);
  EXPECT_EQ(Next(kHere, ports, 0), 40401);
}

TEST_F(Choosing, GivesUpSoonAndContinuesWithNewPorts) {
  const auto some = Ports(256), more = Ports(512);
  taken_.insert(some.begin(), some.end());
  EXPECT_EQ(Next(kHere, some, 100), std::nullopt);
  EXPECT_LE(looked_, 64u);
  source_ports_.Continue(kHere, some.size());
  EXPECT_EQ(Next(kHere, more), more[256]);
  EXPECT_EQ(looked_, 1u);
}

TEST_F(Choosing, FindsTheLastOneThatIsFree) {
  const auto ports = Ports(1000);
  taken_.insert(ports.begin(), ports.end());
  const auto taken = [&](uint16_t port) { return taken_.contains(port); };
  EXPECT_EQ(SourcePorts::Any(ports, taken), std::nullopt);
  taken_.erase(ports[700]);
  EXPECT_EQ(SourcePorts::Any(ports, taken), ports[700]);
  EXPECT_EQ(SourcePorts::Any({}, taken), std::nullopt);
  EXPECT_EQ(Next(kHere, {}), std::nullopt);
}

}  // namespace
}  // namespace mptcptls
