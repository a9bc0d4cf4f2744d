#include "tun/port_blocks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mptcptls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// 0, or the errno of another program's attempt to take the port.
int TryToBind(int family, uint16_t port) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  reinterpret_cast<sockaddr_in*>(&any)->sin_port = htons(port);  // at the same place in both
  const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  const int error = bind(fd, reinterpret_cast<sockaddr*>(&any), length) == 0 ? 0 : errno;
  close(fd);
  return error;
}

std::vector<uint16_t> Ascending(const PortBlocks& blocks) {
  std::vector<uint16_t> ports = blocks.ports();
  std::ranges::sort(ports);
  return ports;
}

TEST(PortBlocks, ReservesAndReleases) {
  uint16_t port = 0;
  {
    PortBlocks blocks;
    EXPECT_TRUE(blocks.ports().empty());
    std::string error;
    ASSERT_TRUE(blocks.Grow(&error)) << error;
    ASSERT_EQ(blocks.ports().size(), size_t{PortBlocks::kBlockSize});
    port = blocks.ports()[100];
    EXPECT_EQ(TryToBind(AF_INET, port), EADDRINUSE);
    EXPECT_EQ(TryToBind(AF_INET6, port), EADDRINUSE);
    ASSERT_TRUE(blocks.Grow(&error)) << error;
    EXPECT_EQ(blocks.ports().size(), 2 * size_t{PortBlocks::kBlockSize});
    EXPECT_EQ(ToRanges(Ascending(blocks)), blocks.ranges());
  }
  EXPECT_EQ(TryToBind(AF_INET, port), 0);
}

TEST(PortBlocks, StepsAroundAPortInUse) {
  uint16_t taken = 0;
  {
    PortBlocks blocks;
    std::string error;
    ASSERT_TRUE(blocks.Grow(&error)) << error;
    taken = blocks.ports()[3];
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in loopback{};
  loopback.sin_family = AF_INET;
  loopback.sin_port = htons(taken);
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&loopback), sizeof loopback), 0);
  PortBlocks blocks;
  std::string error;
  ASSERT_TRUE(blocks.Grow(&error)) << error;
  EXPECT_EQ(blocks.ports().size(), size_t{PortBlocks::kBlockSize});
  EXPECT_EQ(std::ranges::count(blocks.ports(), taken), 0);
  close(fd);
}

TEST(PortBlocks, TwoEnginesDoNotShare) {
  PortBlocks mine, theirs;
  std::string error;
  ASSERT_TRUE(mine.Grow(&error) && theirs.Grow(&error)) << error;
  std::vector<uint16_t> both;
  std::ranges::set_intersection(Ascending(mine), Ascending(theirs), std::back_inserter(both));
  EXPECT_TRUE(both.empty());
}

TEST(PortBlocks, RunningOutOfDescriptorsIsAnErrorThatKeepsTheOldBlocks) {
  PortBlocks blocks;
  std::string error;
  ASSERT_TRUE(blocks.Grow(&error)) << error;
  const auto before = blocks.ports();
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const int next = fcntl(0, F_DUPFD, 0);
  close(next);
  const rlimit tight{static_cast<rlim_t>(next) + 10, old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &tight);
  EXPECT_FALSE(blocks.Grow(&error));
  setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_THAT(error, HasSubstr("ulimit -n"));
  EXPECT_EQ(blocks.ports(), before);
  EXPECT_TRUE(blocks.Grow(&error)) << error;
}

TEST(PortBlocks, Ranges) {
  EXPECT_THAT(
      ToRanges({1, 2, 3, 7, 9, 10, 65535}),
      ElementsAre(PortRange{1, 3}, PortRange{7, 7}, PortRange{9, 10}, PortRange{65535, 65535}));
  EXPECT_TRUE(ToRanges({}).empty());
}

}  // namespace
}  // namespace mptcptls
