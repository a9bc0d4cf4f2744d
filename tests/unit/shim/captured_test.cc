// The hooks on sockets, against an engine that a test plays: this binary's own connect(), accept()
// and so on are the shim's.
#include "shim/captured.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "shim/addresses.h"
#include "tests/unit/shim/fake_engine.h"

namespace mptcptls::shim {
namespace {

sockaddr_in At(const char* text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

// "ok" or the name of the error.
std::string Try(int result) { return result == 0 ? "ok" : strerrorname_np(errno); }

std::string ConnectTo(int fd, const sockaddr_in& address) {
  return Try(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

int IntOption(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) == 0 ? value : -errno;
}

std::string NameOf(decltype(&getsockname) call, int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return strerrorname_np(errno);
  return std::string(inet_ntoa(address.sin_addr)) + ":" + std::to_string(ntohs(address.sin_port));
}

std::string Received(int fd) {
  char bytes[100];
  const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
  return n < 0 ? strerrorname_np(errno) : std::string(bytes, static_cast<size_t>(n));
}

constexpr int kPatienceMs = 20000;
const sockaddr_in kServer = At("192.0.2.1", 443);

class Hooked : public testing::Test {
 protected:
  int Tcp(int flags = 0) { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0); }

  FakeEngine engine_;
};

TEST(Notes, RoundTripThroughTheSocket) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(ReadNotes(fd).send_buffer, 0u);
  EXPECT_FALSE(ReadNotes(fd).up);
  for (unsigned bits = 0; bits < 64; ++bits) {
    const Notes notes{.send_buffer = 425984u + bits,
                      .reported = (bits & 1) != 0,
                      .up = (bits & 2) != 0,
                      .no_delay = (bits & 4) != 0,
                      .cork = (bits & 8) != 0,
                      .mptcp = (bits & 32) != 0,
                      .more = (bits & 16) != 0};
    WriteNotes(fd, notes);
    const Notes back = ReadNotes(fd);
    EXPECT_EQ(back.send_buffer, notes.send_buffer);
    EXPECT_EQ(back.reported, notes.reported);
    EXPECT_EQ(back.up, notes.up);
    EXPECT_EQ(back.no_delay, notes.no_delay);
    EXPECT_EQ(back.cork, notes.cork);
    EXPECT_EQ(back.more, notes.more);
    EXPECT_EQ(back.mptcp, notes.mptcp);
  }
  close(fd);
}

TEST(Fresh, OnlyUnconnectedTcp) {
  int domain = 0;
  const int tcp = socket(AF_INET6, SOCK_STREAM, 0);
  const int udp = socket(AF_INET, SOCK_DGRAM, 0);
  const int local = socket(AF_UNIX, SOCK_STREAM, 0);
  errno = 77;
  EXPECT_TRUE(FreshTcp(tcp, &domain));
  EXPECT_EQ(domain, AF_INET6);
  EXPECT_FALSE(FreshTcp(udp, &domain));
  EXPECT_FALSE(FreshTcp(local, &domain));
  EXPECT_FALSE(FreshTcp(-1, &domain));
  control::Name name;
  EXPECT_FALSE(Captured(tcp, &name));
  EXPECT_FALSE(Captured(-1, &name));
  EXPECT_EQ(errno, 77);
  for (const int fd : {tcp, udp, local}) close(fd);
}

TEST(WithoutEngine, RequireFails) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(ConnectTo(fd, kServer), "ENETDOWN");
  EXPECT_EQ(Try(listen(fd, 5)), "ENETDOWN");
  // Bypassed: the kernel's own answer in a namespace without a network.
  EXPECT_EQ(ConnectTo(fd, At("192.0.2.1", 53)), "ENETUNREACH");
  EXPECT_EQ(ConnectTo(fd, At("203.0.113.5", 443)), "ENETUNREACH");
  close(fd);
}

TEST_F(Hooked, BlockingConnect) {
  const int fd = Tcp();
  EXPECT_EQ(NameOf(getpeername, fd), "ENOTCONN");
  errno = 77;
  EXPECT_EQ(ConnectTo(fd, kServer), "ok");
  EXPECT_EQ(NameOf(getpeername, fd), "192.0.2.1:443");
  EXPECT_EQ(NameOf(getsockname, fd), "192.0.2.9:50000");
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(errno, 77);
  ASSERT_EQ(send(fd, "hello", 5, 0), 5);
  EXPECT_EQ(Received(fd), "hello");
  EXPECT_EQ(ConnectTo(fd, kServer), "EISCONN");
  EXPECT_EQ(Try(listen(fd, 1)), "EINVAL");
  close(fd);
}

// settings_main.cc asks for one.
TEST_F(Hooked, TheSchedulerIsAskedForInConnectAndListen) {
  const int client = Tcp();
  EXPECT_EQ(ConnectTo(client, kServer), "ok");
  const int listener = Tcp();
  const sockaddr_in any = At("0.0.0.0", 0);
  EXPECT_EQ(Try(bind(listener, reinterpret_cast<const sockaddr*>(&any), sizeof any)), "ok");
  EXPECT_EQ(Try(listen(listener, 1)), "ok");
  for (const int fd : {client, listener}) close(fd);
  const auto ecf = control::Scheduler::kEcf;
  EXPECT_EQ(engine_.schedulers(), (std::vector{ecf, ecf}));
}

TEST_F(Hooked, OptionsBeforeAndAfter) {
  const int fd = Tcp();
  const int one = 1, small = 5000;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  const int buffer = IntOption(fd, SOL_SOCKET, SO_SNDBUF);
  ASSERT_EQ(ConnectTo(fd, kServer), "ok");
  EXPECT_EQ(IntOption(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_SNDBUF), buffer);
  EXPECT_TRUE(engine_.options_set().empty());
  const int off = 0;
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off), 0);
  EXPECT_EQ(IntOption(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(engine_.AwaitOptions(1), std::vector<int>{TCP_NODELAY});
  // What it is already, the engine knows.
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off), 0);
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off), 0);
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &one, sizeof one), 0);
  EXPECT_EQ(IntOption(fd, IPPROTO_TCP, TCP_CORK), 1);
  EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof off), 0);
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof one), 0);
  EXPECT_EQ(engine_.options_set(),
            (std::vector<int>{TCP_NODELAY, TCP_CORK, SO_KEEPALIVE, TCP_KEEPIDLE}));
  // The end of a TCP_CORK waits for no answer.
  EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off), 0);
  EXPECT_EQ(engine_.AwaitOptions(5).size(), 5u);
  EXPECT_EQ(IntOption(fd, IPPROTO_TCP, TCP_MAXSEG), -ENOPROTOOPT);
  close(fd);
}

// dovecot asks for it after each write.
TEST_F(Hooked, QuickAckIsToldOnceNotAgain) {
  const int fd = Tcp();
  ASSERT_EQ(ConnectTo(fd, kServer), "ok");
  for (const int value : {1, 1, 1, 0, 0, 1, 1}) {
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, sizeof value), 0);
  }
  EXPECT_EQ(engine_.options_set(), std::vector<int>(4, TCP_QUICKACK));
  close(fd);
}

TEST_F(Hooked, RefusedConnectLeavesAFreshSocket) {
  engine_.RefuseWith(ECONNREFUSED);
  const int fd = Tcp();
  EXPECT_EQ(ConnectTo(fd, kServer), "ECONNREFUSED");
  int domain = 0;
  EXPECT_TRUE(FreshTcp(fd, &domain));
  EXPECT_EQ(ConnectTo(fd, kServer), "ECONNREFUSED");
  engine_.RefuseWith(0);
  EXPECT_EQ(ConnectTo(fd, kServer), "ok");
  close(fd);
}

// The engine may know before the shim has sent all of its request.
TEST_F(Hooked, RefusedAtOnce) {
  engine_.RefuseWith(EHOSTUNREACH, true);
  for (int i = 0; i < 100; ++i) {
    const int fd = Tcp(i % 2 == 0 ? 0 : SOCK_NONBLOCK);
    std::string answer = ConnectTo(fd, kServer);
    if (answer == "EINPROGRESS") {
      pollfd state{fd, POLLOUT, 0};
      ASSERT_EQ(poll(&state, 1, kPatienceMs), 1);
      answer = ConnectTo(fd, kServer);
    }
    EXPECT_EQ(answer, "EHOSTUNREACH");
    int domain = 0;
    EXPECT_TRUE(FreshTcp(fd, &domain));
    close(fd);
  }
}

TEST_F(Hooked, DeclinedAndBypassed) {
  const int fd = Tcp();
  engine_.DeclineWith(control::kErrorDeclined);
  EXPECT_EQ(ConnectTo(fd, kServer), "ENETDOWN");
  engine_.DeclineWith(control::kErrorVersion);
  EXPECT_EQ(ConnectTo(fd, kServer), "ENETDOWN");
  engine_.DeclineWith(control::kErrorBypass);
  EXPECT_EQ(ConnectTo(fd, kServer), "ENETUNREACH");
  close(fd);
}

// A socket in an edge-triggered set since before its connect().
class Pending : public Hooked {
 protected:
  Pending() {
    epoll_event event{EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, {.u64 = 5}};
    epoll_ctl(set_, EPOLL_CTL_ADD, fd_, &event);
    Events(0);  // OUT|HUP of a fresh socket
    engine_.Hold();
    EXPECT_EQ(ConnectTo(fd_, kServer), "EINPROGRESS");
  }
  ~Pending() override {
    close(fd_);
    close(set_);
  }

  uint32_t Events(int wait_ms) {
    epoll_event event{};
    return epoll_wait(set_, &event, 1, wait_ms) == 1 ? event.events : 0u;
  }

  int fd_ = Tcp(SOCK_NONBLOCK);
  int set_ = epoll_create1(EPOLL_CLOEXEC);
};

TEST_F(Pending, ComesUpWithOneEdge) {
  EXPECT_EQ(Events(0), 0u);
  EXPECT_EQ(ConnectTo(fd_, kServer), "EALREADY");
  EXPECT_EQ(NameOf(getpeername, fd_), "ENOTCONN");
  EXPECT_EQ(NameOf(getsockname, fd_), "192.0.2.9:50000");
  EXPECT_EQ(IntOption(fd_, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(Events(0), 0u);
  engine_.Release();
  EXPECT_EQ(Events(kPatienceMs), EPOLLOUT);
  EXPECT_EQ(Events(0), 0u);
  EXPECT_EQ(IntOption(fd_, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(NameOf(getpeername, fd_), "192.0.2.1:443");
  EXPECT_EQ(ConnectTo(fd_, kServer), "ok");  // as the kernel: the first one that sees it
  EXPECT_EQ(ConnectTo(fd_, kServer), "EISCONN");
}

TEST_F(Pending, ABlockingSecondConnectWaits) {
  fcntl(fd_, F_SETFL, 0);
  std::thread release([this] { engine_.Release(); });
  EXPECT_EQ(ConnectTo(fd_, kServer), "ok");
  release.join();
}

TEST_F(Hooked, NonBlockingRefusal) {
  engine_.RefuseWith(ETIMEDOUT);
  const int fd = Tcp(SOCK_NONBLOCK);
  EXPECT_EQ(ConnectTo(fd, kServer), "EINPROGRESS");
  pollfd state{fd, POLLOUT, 0};
  ASSERT_EQ(poll(&state, 1, kPatienceMs), 1);
  EXPECT_EQ(state.revents, POLLOUT | POLLERR | POLLHUP);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(NameOf(getpeername, fd), "ENOTCONN");
  EXPECT_EQ(ConnectTo(fd, kServer), "ECONNABORTED");
  engine_.RefuseWith(0);
  EXPECT_EQ(ConnectTo(fd, kServer), "EINPROGRESS");
  state.revents = 0;
  ASSERT_EQ(poll(&state, 1, kPatienceMs), 1);
  EXPECT_EQ(state.revents, POLLOUT);
  close(fd);
}

TEST_F(Hooked, NonBlockingRefusalToldByConnect) {
  engine_.RefuseWith(EHOSTUNREACH);
  const int fd = Tcp(SOCK_NONBLOCK);
  EXPECT_EQ(ConnectTo(fd, kServer), "EINPROGRESS");
  pollfd state{fd, POLLOUT, 0};
  ASSERT_EQ(poll(&state, 1, kPatienceMs), 1);
  EXPECT_EQ(ConnectTo(fd, kServer), "EHOSTUNREACH");
  int domain = 0;
  EXPECT_TRUE(FreshTcp(fd, &domain));
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  close(fd);
}

TEST_F(Hooked, UnspecifiedAddressForgetsTheConnection) {
  const int fd = Tcp();
  ASSERT_EQ(ConnectTo(fd, kServer), "ok");
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  EXPECT_EQ(Try(connect(fd, &none, sizeof none)), "ok");
  EXPECT_EQ(NameOf(getpeername, fd), "ENOTCONN");
  EXPECT_EQ(ConnectTo(fd, kServer), "ok");
  close(fd);
}

TEST_F(Hooked, AddressesInDataCalls) {
  const int fd = Tcp();
  const auto* server = reinterpret_cast<const sockaddr*>(&kServer);
  ASSERT_EQ(sendto(fd, "open", 4, MSG_FASTOPEN, server, sizeof kServer), 4);
  char bytes[16];
  sockaddr_storage from;
  socklen_t length = sizeof from;
  EXPECT_EQ(recvfrom(fd, bytes, 4, MSG_WAITALL, reinterpret_cast<sockaddr*>(&from), &length), 4);
  EXPECT_EQ(length, 0u);
  EXPECT_EQ(sendto(fd, "abc", 3, 0, server, sizeof kServer), 3);
  iovec piece{bytes, 3};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  EXPECT_EQ(recvmsg(fd, &message, MSG_WAITALL), 3);
  EXPECT_EQ(message.msg_namelen, 0u);
  message.msg_name = const_cast<sockaddr_in*>(&kServer);
  message.msg_namelen = sizeof kServer;
  EXPECT_EQ(sendmsg(fd, &message, 0), 3);
  EXPECT_EQ(message.msg_namelen, sizeof kServer);
  close(fd);
}

class Listening : public Hooked {
 protected:
  Listening() {
    const timeval limit{7, 0};
    setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const sockaddr_in any = At("0.0.0.0", 8443);
    EXPECT_EQ(Try(bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof any)), "ok");
    EXPECT_EQ(Try(listen(listener_, 5)), "ok");
    const sockaddr_in client = At("198.51.100.7", 1234);
    ToControl(reinterpret_cast<const sockaddr*>(&client), sizeof client, &client_);
  }
  ~Listening() override { close(listener_); }

  int listener_ = Tcp();
  control::Address client_;
};

std::string AcceptMark() {
  return {std::begin(control::kAcceptMark), std::end(control::kAcceptMark)};
}

TEST_F(Listening, AcceptsUnderTheClientsAddress) {
  const int engine = engine_.Deliver(client_);
  sockaddr_in from{};
  socklen_t length = sizeof from;
  const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(length, sizeof from);
  EXPECT_EQ(ntohs(from.sin_port), 1234);
  EXPECT_EQ(NameOf(getpeername, fd), "198.51.100.7:1234");
  EXPECT_EQ(NameOf(getsockname, fd), "192.0.2.9:8443");
  EXPECT_EQ(NameOf(getsockname, listener_), "0.0.0.0:8443");
  EXPECT_EQ(NameOf(getpeername, listener_), "ENOTCONN");
  EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  timeval limit{};
  socklen_t size = sizeof limit;
  EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size), 0);
  EXPECT_EQ(limit.tv_sec, 7);  // inherited
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
  EXPECT_EQ(IntOption(listener_, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(Received(engine), AcceptMark());
  EXPECT_EQ(send(fd, "answer", 6, 0), 6);
  EXPECT_EQ(Received(engine), "answer");
  close(engine);
  // As of TCP's: until all is acknowledged, and once it is closed.
  EXPECT_EQ(NameOf(getpeername, fd), "198.51.100.7:1234");
  engine_.Forget();
  EXPECT_EQ(NameOf(getpeername, fd), "ENOTCONN");
  EXPECT_EQ(Try(shutdown(fd, SHUT_RDWR)), "ENOTCONN");
  close(fd);
}

TEST_F(Listening, WhatIsOnItsWayIsTheEnginesAnswer) {
  const int engine = engine_.Deliver(client_);
  const int fd = accept(listener_, nullptr, nullptr);
  ASSERT_GE(fd, 0);
  int bytes = -1;
  errno = 77;
  for (const unsigned long request : {SIOCOUTQ, SIOCOUTQNSD}) {
    EXPECT_EQ(ioctl(fd, request, &bytes), 0);
    EXPECT_EQ(bytes, FakeEngine::kOnItsWay);
  }
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(Try(ioctl(listener_, SIOCOUTQ, &bytes)), "EINVAL");
  // What is asked of no socket of ours is the kernel's.
  EXPECT_EQ(Try(ioctl(engine, SIOCOUTQ, &bytes)), "ok");
  EXPECT_EQ(bytes, 0);
  ifreq interface {};
  strcpy(interface.ifr_name, "lo");
  EXPECT_EQ(Try(ioctl(fd, SIOCGIFADDR, &interface)), "EADDRNOTAVAIL") << "the namespace has none";
  for (const int each : {fd, engine}) close(each);
}

// What the engine sees of the next bytes: "bytes", or "bytes+N" under a mark for N bytes.
std::string ReceivedMarked(int engine) {
  char bytes[100];
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
  iovec piece{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  const ssize_t n = recvmsg(engine, &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return strerrorname_np(errno);
  std::string text(bytes, static_cast<size_t>(n));
  const cmsghdr* const c = CMSG_FIRSTHDR(&message);
  if (c == nullptr || c->cmsg_type != SCM_RIGHTS) return text;
  int mark = -1;
  memcpy(&mark, CMSG_DATA(c), sizeof mark);
  uint64_t number = 0;
  socklen_t length = sizeof number;
  EXPECT_EQ(getsockopt(mark, SOL_SOCKET, SO_MAX_PACING_RATE, &number, &length), 0);
  close(mark);
  return text + "+" + std::to_string(number);
}

int LowestFree(FakeEngine* engine) {
  engine->AwaitQuiet();
  const int fd = open("/", O_PATH | O_CLOEXEC);
  close(fd);
  return fd;
}

TEST_F(Listening, MsgMoreTravelsWithItsBytes) {
  const int engine = engine_.Deliver(client_);
  const int fd = accept(listener_, nullptr, nullptr);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Received(engine), AcceptMark());
  const int free = LowestFree(&engine_);
  errno = 77;
  EXPECT_EQ(send(fd, "head", 4, MSG_MORE | MSG_NOSIGNAL), 4);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(ReceivedMarked(engine), "head+4");
  EXPECT_EQ(send(fd, "plain", 5, 0), 5);
  EXPECT_EQ(ReceivedMarked(engine), "plain");
  EXPECT_EQ(sendto(fd, "to", 2, MSG_MORE, nullptr, 0), 2);
  EXPECT_EQ(ReceivedMarked(engine), "to+2");
  char first[] = "first ", second[] = "second";
  iovec pieces[] = {{first, 6}, {second, 6}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  EXPECT_EQ(sendmsg(fd, &message, MSG_MORE), 12);
  EXPECT_EQ(ReceivedMarked(engine), "first second+12");
  EXPECT_EQ(message.msg_controllen, 0u);
  // Too long for one piece: without a mark.
  const std::string large(control::kMostMarked + 1, 'x');
  EXPECT_EQ(send(fd, large.data(), large.size(), MSG_MORE), static_cast<ssize_t>(large.size()));
  EXPECT_EQ(ReceivedMarked(engine), std::string(100, 'x'));
  EXPECT_EQ(LowestFree(&engine_), free);
  close(engine);
  errno = 77;
  EXPECT_EQ(send(fd, "x", 1, MSG_MORE | MSG_NOSIGNAL), -1);
  EXPECT_NE(errno, 77);
  EXPECT_EQ(LowestFree(&engine_), engine);
  close(fd);
}

TEST_F(Listening, AStrangerIsRefused) {
  sockaddr_un name;
  socklen_t length = sizeof name;
  control::Name own;
  ASSERT_TRUE(Captured(listener_, &own));
  length = control::EncodeName(own, &name);
  const int stranger = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(stranger, reinterpret_cast<const sockaddr*>(&name), length), 0);
  fcntl(listener_, F_SETFL, O_NONBLOCK);
  EXPECT_EQ(accept(listener_, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(Received(stranger), "");
  const int engine = engine_.Deliver(client_);
  const int fd = accept(listener_, nullptr, nullptr);
  EXPECT_GE(fd, 0);
  for (const int each : {stranger, engine, fd}) close(each);
}

// Whoever is in the network namespace can bind such a name and connect; only the user tells.
TEST_F(Listening, AnotherUserIsNoEngine) {
  fcntl(listener_, F_SETFL, O_NONBLOCK);
  for (const uid_t uid : {65534u, 0u}) {
    control::Name own;
    ASSERT_TRUE(Captured(listener_, &own));
    sockaddr_un listener, responder;
    const socklen_t length = control::EncodeName(own, &listener);
    own.role = control::Role::kResponder;
    control::EncodeName(own, &responder);
    // The credentials are those of connect(); the socket outlives whoever called it.
    const int stranger = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const pid_t child = fork();
    if (child == 0) {
      const bool connected =
          syscall(SYS_setresuid, uid, uid, uid) == 0 &&
          bind(stranger, reinterpret_cast<const sockaddr*>(&responder), length) == 0 &&
          connect(stranger, reinterpret_cast<const sockaddr*>(&listener), length) == 0;
      _exit(connected ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ASSERT_EQ(status, 0) << "needs root";
    const int fd = accept(listener_, nullptr, nullptr);
    if (uid == 0) {
      EXPECT_GE(fd, 0);
    } else {
      EXPECT_EQ(fd, -1);
      EXPECT_EQ(errno, EAGAIN);
      EXPECT_EQ(Received(stranger), "");
    }
    close(fd);
    close(stranger);
  }
}

// The engine died after it brought a connection: its bytes must not look like a stream that ended.
TEST_F(Listening, WhatADeadEngineLeftIsNotAccepted) {
  const int dead = engine_.Deliver(client_);
  EXPECT_EQ(send(dead, "half", 4, 0), 4);
  close(dead);
  fcntl(listener_, F_SETFL, O_NONBLOCK);
  EXPECT_EQ(accept(listener_, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
  const int engine = engine_.Deliver(client_);
  const int fd = accept(listener_, nullptr, nullptr);
  EXPECT_GE(fd, 0);
  for (const int each : {engine, fd}) close(each);
}

}  // namespace
}  // namespace mptcptls::shim
