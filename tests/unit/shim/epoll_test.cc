// Registrations in epoll sets survive that another socket takes the number.
#include "shim/epoll.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

namespace mptcptls::shim {
namespace {

class Replaced : public testing::Test {
 protected:
  Replaced() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_), 0); }
  ~Replaced() override {
    for (const int fd : {fresh_, set_, other_set_, pair_[0], pair_[1]}) close(fd);
  }

  void Register(int set, uint32_t events, uint64_t data) {
    epoll_event event{events, {.u64 = data}};
    ASSERT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fresh_, &event), 0);
  }

  // The data of what is ready now.
  std::optional<uint64_t> Ready(int set) {
    epoll_event event{};
    if (epoll_wait(set, &event, 1, 0) != 1) return std::nullopt;
    const uint64_t data = event.data.u64;
    return data;
  }

  int fresh_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int set_ = epoll_create1(EPOLL_CLOEXEC);
  int other_set_ = epoll_create1(EPOLL_CLOEXEC);
  int pair_[2] = {-1, -1};
};

TEST_F(Replaced, RegistrationsGoOn) {
  Register(set_, EPOLLIN, 11);
  Register(other_set_, EPOLLIN | EPOLLET, 22);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  EXPECT_EQ(Ready(set_), std::nullopt);
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  EXPECT_EQ(Ready(set_), 11u);
  EXPECT_EQ(Ready(set_), 11u);
  EXPECT_EQ(Ready(other_set_), 22u);
  EXPECT_EQ(Ready(other_set_), std::nullopt);  // one edge
  epoll_event event{EPOLLIN, {.u64 = 33}};
  EXPECT_EQ(epoll_ctl(set_, EPOLL_CTL_MOD, fresh_, &event), 0);
  EXPECT_EQ(Ready(set_), 33u);
}

TEST_F(Replaced, TheLastWordCounts) {
  Register(set_, EPOLLIN, 1);
  epoll_event event{EPOLLIN, {.u64 = 2}};
  ASSERT_EQ(epoll_ctl(set_, EPOLL_CTL_MOD, fresh_, &event), 0);
  Register(other_set_, EPOLLIN, 3);
  ASSERT_EQ(epoll_ctl(other_set_, EPOLL_CTL_DEL, fresh_, nullptr), 0);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  EXPECT_EQ(Ready(set_), 2u);
  EXPECT_EQ(Ready(other_set_), std::nullopt);
}

TEST_F(Replaced, ANumberUsedAgainRemembersNothing) {
  Register(set_, EPOLLIN, 1);
  const int number = fresh_;
  close(fresh_);
  fresh_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(fresh_, number);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  EXPECT_EQ(Ready(set_), std::nullopt);
}

// Closed behind our back and made again by a call that is not hooked.
TEST_F(Replaced, AStaleEntryIsHarmless) {
  Register(set_, EPOLLIN, 1);
  const int other = dup(pair_[0]);
  ASSERT_EQ(dup3(other, fresh_, O_CLOEXEC), fresh_);
  close(other);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  EXPECT_EQ(Ready(set_), std::nullopt);
}

TEST_F(Replaced, AFailureChangesNothing) {
  Register(set_, EPOLLOUT, 7);
  errno = 0;
  EXPECT_FALSE(ReplaceDescriptor(-1, fresh_, true));
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(Ready(set_), 7u);
}

TEST_F(Replaced, CloseOnExecStays) {
  ASSERT_EQ(fcntl(fresh_, F_SETFD, 0), 0);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  EXPECT_EQ(fcntl(fresh_, F_GETFD), 0);
  ASSERT_EQ(fcntl(fresh_, F_SETFD, FD_CLOEXEC), 0);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  EXPECT_EQ(fcntl(fresh_, F_GETFD), FD_CLOEXEC);
}

// A dup keeps the old socket open, and with it a registration that nobody could remove any more.
TEST_F(Replaced, NoEventOfTheOldSocketIsLeft) {
  Register(set_, EPOLLIN, 1);
  const int kept = dup(fresh_);
  ASSERT_TRUE(ReplaceDescriptor(pair_[0], fresh_, true));
  ASSERT_EQ(epoll_ctl(set_, EPOLL_CTL_DEL, fresh_, nullptr), 0);
  EXPECT_EQ(Ready(set_), std::nullopt);
  close(kept);
}

}  // namespace
}  // namespace mptcptls::shim
