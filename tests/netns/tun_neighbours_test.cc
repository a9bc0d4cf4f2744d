// Neighbours that do not answer, as the kernel tells of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/netns/tun_hosts.h"
#include "tun/neighbours.h"

namespace mptcptls {
namespace {

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

TEST(Neighbours, ThoseThatDoNotAnswerAreTold) {
  const Namespace net;
  net.Run(
      "ip link add n0 type veth peer name n1; ip link set n0 up; ip link set n1 up;"
      "ip addr add 10.0.1.1/24 dev n0; ip addr add fd01::1/64 dev n0 nodad;"
      "sysctl -qw net.ipv4.neigh.n0.retrans_time_ms=10 net.ipv6.neigh.n0.retrans_time_ms=10");
  net.Run("ip neigh add 10.0.1.6 dev n0 lladdr 02:00:00:00:00:06 nud reachable");
  std::string error;
  std::unique_ptr<NeighbourMonitor> monitor;
  {
    const Namespace::Scope scope(net);
    monitor = NeighbourMonitor::Open(&error);
  }
  ASSERT_NE(monitor, nullptr) << error;
  EXPECT_THAT(monitor->TakeFailed(), testing::IsEmpty());
  // One that is known, and becomes known otherwise, is no failure.
  net.Run("ip neigh add 10.0.1.7 dev n0 lladdr 02:00:00:00:00:07 nud reachable");
  net.Run("ip neigh replace 10.0.1.7 dev n0 lladdr 02:00:00:00:00:08 nud stale");
  // Nor are those that go, of which one was there before.
  net.Run("ip neigh del 10.0.1.7 dev n0; ip neigh del 10.0.1.6 dev n0");
  const int ifindex = std::stoi(net.Run("ip -o link show n0 | cut -d: -f1"));
  std::vector<Neighbour> failed;
  EXPECT_TRUE(Eventually([&] {
    int status = 0;
    net.Try("bash -c 'echo x >/dev/udp/10.0.1.9/9; echo x >/dev/udp/fd01::9/9'", &status);
    const auto more = monitor->TakeFailed();
    failed.insert(failed.end(), more.begin(), more.end());
    return std::ranges::count(failed, Neighbour{ifindex, Ip("10.0.1.9")}) > 0 &&
           std::ranges::count(failed, Neighbour{ifindex, Ip("fd01::9")}) > 0;
  })) << failed.size();
  for (const char* known : {"10.0.1.6", "10.0.1.7"})
    EXPECT_EQ(std::ranges::count(failed, Neighbour{ifindex, Ip(known)}), 0) << known;
}

}  // namespace
}  // namespace mptcptls
