#include "tun/route_intervals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mptcptls {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kUplink = 2;

NextHop Route(const std::string& prefix, const char* gateway, uint32_t metric = 0,
              int ifindex = kUplink) {
  NextHop hop;
  const size_t slash = prefix.find('/');
  hop.ifindex = ifindex;
  hop.prefix = *IpAddress::Parse(prefix.substr(0, slash));
  hop.prefix_length = static_cast<uint8_t>(std::stoi(prefix.substr(slash + 1)));
  if (gateway != nullptr) hop.gateway = IpAddress::Parse(gateway);
  hop.metric = metric;
  return hop;
}

// "first-last via gateway" for each interval.
std::vector<std::string> Flat(const std::vector<NextHop>& routes, Family family = Family::kV4) {
  std::vector<std::string> lines;
  for (const RouteInterval& i : FlattenRoutes(routes, kUplink, family))
    lines.push_back(i.first.ToString() + "-" + i.last.ToString() + " " +
                    (i.gateway ? i.gateway->ToString() : "onlink"));
  return lines;
}

TEST(RouteIntervals, LongestPrefixCutsTheDefaultRoute) {
  EXPECT_THAT(Flat({Route("0.0.0.0/0", "10.0.1.254"), Route("10.0.1.0/24", nullptr)}),
              ElementsAre("0.0.0.0-10.0.0.255 10.0.1.254", "10.0.1.0-10.0.1.255 onlink",
                          "10.0.2.0-255.255.255.255 10.0.1.254"));
}

TEST(RouteIntervals, NestedPrefixesThatBeginOrEndTogether) {
  EXPECT_THAT(Flat({Route("10.0.0.0/8", "1.1.1.1"), Route("10.0.0.0/16", "2.2.2.2"),
                    Route("10.0.0.0/24", "3.3.3.3"), Route("10.255.0.0/16", "4.4.4.4"),
                    Route("10.255.255.255/32", "5.5.5.5")}),
              ElementsAre("10.0.0.0-10.0.0.255 3.3.3.3", "10.0.1.0-10.0.255.255 2.2.2.2",
                          "10.1.0.0-10.254.255.255 1.1.1.1", "10.255.0.0-10.255.255.254 4.4.4.4",
                          "10.255.255.255-10.255.255.255 5.5.5.5"));
}

TEST(RouteIntervals, AdjacentRangesWithOneGatewayBecomeOne) {
  EXPECT_THAT(Flat({Route("10.0.0.0/9", "1.1.1.1"), Route("10.128.0.0/9", "1.1.1.1"),
                    Route("10.64.0.0/16", "1.1.1.1")}),
              ElementsAre("10.0.0.0-10.255.255.255 1.1.1.1"));
}

TEST(RouteIntervals, TheLowestMetricOfOnePrefixWins) {
  EXPECT_THAT(Flat({Route("10.0.0.0/8", "1.1.1.1", 200), Route("10.0.0.0/8", "2.2.2.2", 100)}),
              ElementsAre("10.0.0.0-10.255.255.255 2.2.2.2"));
}

TEST(RouteIntervals, OtherUplinksAndFamiliesDoNotCount) {
  EXPECT_THAT(Flat({Route("10.0.0.0/8", "1.1.1.1", 0, 3), Route("::/0", "fe80::1")}), IsEmpty());
}

TEST(RouteIntervals, ARouteThatLeadsNowhereCutsAHole) {
  EXPECT_THAT(Flat({Route("10.0.0.0/8", "1.1.1.1"), Route("10.1.0.0/16", nullptr, 0, 0)}),
              ElementsAre("10.0.0.0-10.0.255.255 1.1.1.1", "10.2.0.0-10.255.255.255 1.1.1.1"));
}

TEST(RouteIntervals, AnUnreachableDefaultOfHighMetricChangesNothing) {
  EXPECT_THAT(
      Flat({Route("0.0.0.0/0", "1.1.1.1", 100), Route("0.0.0.0/0", nullptr, 4294967295, 0)}),
      ElementsAre("0.0.0.0-255.255.255.255 1.1.1.1"));
}

TEST(RouteIntervals, Ipv6ToTheVeryLastAddress) {
  EXPECT_THAT(
      Flat({Route("::/0", "fe80::1"), Route("fd01::/64", nullptr), Route("ff00::/8", nullptr)},
           Family::kV6),
      ElementsAre("::-fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80::1",
                  "fd01::-fd01::ffff:ffff:ffff:ffff onlink",
                  "fd01:0:0:1::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80::1",
                  "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff onlink"));
}

TEST(RouteIntervals, PrefixContains) {
  const IpAddress ten = *IpAddress::Parse("10.0.0.0"), other = *IpAddress::Parse("10.1.0.0");
  EXPECT_TRUE(PrefixContains(ten, 8, other));
  EXPECT_FALSE(PrefixContains(ten, 16, other));
  EXPECT_TRUE(PrefixContains(*IpAddress::Parse("::"), 0, *IpAddress::Parse("fd01::1")));
  EXPECT_FALSE(PrefixContains(*IpAddress::Parse("::"), 0, ten));
}

}  // namespace
}  // namespace mptcptls
