// The probe's rows of waiting: every call that waits, epoll's modes, high descriptors, signals,
// threads that close what others wait for.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

// Answers each byte with one.
void Each(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  char byte;
  while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1) {
  }
  close(fd);
}

void AskByte(int fd) { Result("send", send(fd, "x", 1, MSG_NOSIGNAL)); }
void TakeByte(int fd) {
  char byte;
  Result("recv", recv(fd, &byte, 1, MSG_DONTWAIT));
}

void Calls(const Address& server) {
  const int fd = Connected(server);
  sigset_t none;
  sigemptyset(&none);
  timespec patience{kPatienceMs / 1000, 0}, no_time{0, 0};
  pollfd state{fd, POLLIN | POLLRDNORM, 0};
  Result("ppoll", ppoll(&state, 1, &no_time, &none));
  AskByte(fd);
  Result("ppoll", ppoll(&state, 1, &patience, &none));
  Say("normal %d", state.revents == (POLLIN | POLLRDNORM));
  fd_set readable, failed;
  FD_ZERO(&readable);
  FD_ZERO(&failed);
  FD_SET(fd, &readable);
  FD_SET(fd, &failed);
  Result("pselect", pselect(fd + 1, &readable, nullptr, &failed, &patience, &none));
  Say("readable %d failed %d", FD_ISSET(fd, &readable), FD_ISSET(fd, &failed));
  const int set = epoll_create1(0);
  epoll_event event{EPOLLIN, {.fd = fd}};
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  Result("epoll_pwait", epoll_pwait(set, &event, 1, kPatienceMs, &none));
  Result("epoll_pwait2", epoll_pwait2(set, &event, 1, &patience, &none));
  TakeByte(fd);
  Result("epoll_pwait", epoll_pwait(set, &event, 1, 0, &none));
  FD_SET(fd, &readable);
  timeval at_once{0, 0};
  Result("select", select(fd + 1, &readable, nullptr, nullptr, &at_once));
  // An epoll set in another.
  const int outer = epoll_create1(0);
  event = {EPOLLIN, {.fd = set}};
  epoll_ctl(outer, EPOLL_CTL_ADD, set, &event);
  AskByte(fd);
  Say("outer: %s", Next(outer, kPatienceMs).c_str());
  TakeByte(fd);
  close(outer);
  close(set);
  close(fd);
}

void OneShot(const Address& server) {
  const int fd = Tcp(server, SOCK_NONBLOCK);
  const int set = epoll_create1(0);
  epoll_event event{EPOLLOUT | EPOLLONESHOT, {.fd = fd}};
  Done("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  Say("fresh: %s", Next(set, 0).c_str());
  event.events = EPOLLOUT | EPOLLONESHOT;
  Done("rearm", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  Say("fresh: %s", Next(set, 0).c_str());
  Done("connect", connect(fd, server.get(), server.length));
  event.events = EPOLLOUT | EPOLLONESHOT;
  Done("rearm", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  Say("connected: %s", Next(set, kPatienceMs).c_str());
  Say("once: %s", Next(set, 0).c_str());
  event.events = EPOLLIN | EPOLLONESHOT | EPOLLET;
  Done("rearm", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  AskByte(fd);
  Say("answer: %s", Next(set, kPatienceMs).c_str());
  Say("once: %s", Next(set, 0).c_str());
  event.events = EPOLLIN | EPOLLONESHOT | EPOLLET;
  Done("rearm", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  Say("still there: %s", Next(set, 0).c_str());
  TakeByte(fd);
  close(set);
  close(fd);
}

// A one-shot that is spent before connect() stays so.
void SpentOneShot(const Address& server) {
  const int fd = Tcp(server, SOCK_NONBLOCK);
  const int set = epoll_create1(0);
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLONESHOT, {.fd = fd}};
  Done("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  Say("fresh: %s", Next(set, 0).c_str());
  Done("connect", connect(fd, server.get(), server.length));
  Await(fd, POLLOUT, "connected");
  Say("spent: %s", Next(set, 0).c_str());
  close(set);
  close(fd);
}

// Edges for each arrival, and for the end.
void Edges(const Address& server) {
  const int fd = Connected(server);
  const int set = epoll_create1(0);
  epoll_event event{EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fd}};
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  Say("at first: %s", Next(set, 0).c_str());
  AskByte(fd);
  Say("first: %s", Next(set, kPatienceMs).c_str());
  AskByte(fd);
  Say("second: %s", Next(set, kPatienceMs).c_str());
  Say("no third: %s", Next(set, 0).c_str());
  TakeByte(fd);
  TakeByte(fd);
  TakeByte(fd);
  const int twin = dup(fd);
  event.data.fd = twin;
  Done("add a twin", epoll_ctl(set, EPOLL_CTL_ADD, twin, &event));
  Done("add it again", epoll_ctl(set, EPOLL_CTL_ADD, twin, &event));
  Done("take it out", epoll_ctl(set, EPOLL_CTL_DEL, twin, nullptr));
  close(twin);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Await(fd, POLLRDHUP, "end");
  Say("end: %s", Next(set, kPatienceMs).c_str());
  close(fd);
  Say("closed: %s", Next(set, 0).c_str());
  close(set);
}

constexpr int kTakers = 3;

// EPOLLEXCLUSIVE, before listen(); and in several processes: each connection is accepted once.
void ExclusiveServer(const Address& any) {
  const int listener = Tcp(any, SOCK_NONBLOCK);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(listener, any.get(), any.length));
  const int early = epoll_create1(0);
  epoll_event event{EPOLLIN | EPOLLEXCLUSIVE, {.fd = listener}};
  Done("add", epoll_ctl(early, EPOLL_CTL_ADD, listener, &event));
  Done("listen", listen(listener, 8));
  Done("modify", epoll_ctl(early, EPOLL_CTL_MOD, listener, &event));
  Say("ready");
  Say("early: %s", Next(early, kPatienceMs).c_str());
  close(early);
  int lines[2];
  if (pipe(lines) != 0) return;
  pid_t takers[kTakers];
  for (pid_t& taker : takers) {
    taker = fork();
    if (taker != 0) continue;
    const int set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
      if (epoll_wait(set, &event, 1, kPatienceMs) != 1) _exit(1);
      const int fd = accept4(listener, nullptr, nullptr, 0);
      if (fd < 0) continue;
      char byte;
      if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1) _exit(2);
      close(fd);
      if (write(lines[1], &byte, 1) != 1) _exit(3);
    }
  }
  char bytes[8] = "";
  size_t got = 0;
  while (got < 6) {
    const ssize_t n = read(lines[0], bytes + got, 6 - got);
    if (n <= 0) return;
    got += static_cast<size_t>(n);
  }
  Say("served %zu", got);
  for (const pid_t taker : takers) {
    kill(taker, SIGTERM);
    waitpid(taker, nullptr, 0);
  }
}
void Exclusive(const Address& server) {
  for (int i = 0; i < 6; ++i) {
    const int fd = Connected(server);
    RoundTrip(fd, "x");
    close(fd);
  }
}

// Beyond what select() can name, and at its edge.
void High(const Address& server) {
  const rlimit limit{4096, 4096};
  setrlimit(RLIMIT_NOFILE, &limit);
  const int fd = Connected(server);
  const int edge = dup2(fd, FD_SETSIZE - 1);
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(edge, &readable);
  AskByte(fd);
  timeval patience{kPatienceMs / 1000, 0};
  Result("select", select(FD_SETSIZE, &readable, nullptr, nullptr, &patience));
  TakeByte(edge);
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 4000);
  Say("number %d", high);
  AskByte(high);
  Await(high, POLLIN, "poll");
  Say("peer %s", Peer(high).c_str());
  TakeByte(high);
  close(edge);
  close(high);
  close(fd);
  // A socket that is high before it connects.
  const int fresh = Tcp(server);
  const int low = dup2(fresh, 4001);
  close(fresh);
  Done("connect", connect(low, Closed(server).get(), server.length));
  close(low);
}

volatile sig_atomic_t notices = 0;
volatile sig_atomic_t noticed = -1;

void OnNotice(int /*signal*/, siginfo_t* info, void* /*context*/) {
  notices = notices + 1;
  noticed = info->si_fd;
}

// O_ASYNC: a signal tells of what can be read; asked for before connect() and after.
void Signals(const Address& server) {
  struct sigaction action {};
  action.sa_sigaction = OnNotice;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t usual, blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, &usual);
  const int fd = Tcp(server);
  Done("F_SETOWN", fcntl(fd, F_SETOWN, getpid()));
  Done("F_SETSIG", fcntl(fd, F_SETSIG, SIGUSR1));
  Done("O_ASYNC", fcntl(fd, F_SETFL, O_ASYNC));
  Done("connect", connect(fd, server.get(), server.length));
  Say("flags %d, owner %d, signal %d", fcntl(fd, F_GETFL) & (O_ASYNC | O_NONBLOCK),
      fcntl(fd, F_GETOWN) == getpid(), fcntl(fd, F_GETSIG) == SIGUSR1);
  timespec no_time{0, 0};
  while (sigtimedwait(&blocked, nullptr, &no_time) > 0) {
  }
  AskByte(fd);
  timespec patience{kPatienceMs / 1000, 0};
  siginfo_t info{};
  AwaitQueued(fd, 1);
  // Room to write is told, too.
  do {
    info.si_band = 0;
  } while (sigtimedwait(&blocked, &info, &patience) > 0 && (info.si_band & POLLIN) == 0);
  Say("told of the descriptor %d, readable %d", info.si_fd == fd, (info.si_band & POLLIN) != 0);
  TakeByte(fd);
  int off = 0;
  Done("FIOASYNC", ioctl(fd, FIOASYNC, &off));
  Say("flags %d", fcntl(fd, F_GETFL) & O_ASYNC);
  close(fd);
}

// A thread waits in poll() for what another closes: it goes on waiting for the socket, not for the
// number.
void ClosedWhilePolled(const Address& server) {
  const int fd = Connected(server);
  const int twin = dup(fd);
  short events = 0;
  Waiter waiter([&] {
    pollfd state{fd, POLLIN, 0};
    poll(&state, 1, kPatienceMs);
    events = state.revents;
  });
  waiter.AwaitBlocked();
  Done("close", close(fd));
  AskByte(twin);
  waiter.Join();
  Say("poll: %s", Events(static_cast<uint16_t>(events)).c_str());
  TakeByte(twin);
  // In recv(), which keeps the socket as well.
  ssize_t received = -2;
  const int third = dup(twin);
  Waiter reader([&] {
    char byte;
    received = recv(third, &byte, 1, 0);
  });
  reader.AwaitBlocked();
  Done("close", close(third));
  AskByte(twin);
  reader.Join();
  Say("recv: %zd", received);
  char byte;
  Result("closed", recv(third, &byte, 1, 0));
  // In an epoll set, the last descriptor of it.
  const int set = epoll_create1(0);
  epoll_event event{EPOLLIN, {.fd = twin}};
  epoll_ctl(set, EPOLL_CTL_ADD, twin, &event);
  std::string seen;
  Waiter poller([&] { seen = Next(set, 300); });
  poller.AwaitBlocked();
  Done("close", close(twin));
  poller.Join();
  Say("epoll: %s", seen.c_str());
  close(set);
}

}  // namespace

const Scenario kEventScenarios[] = {
    {"calls", Each, Calls},
    {"one_shot", Each, OneShot},
    {"spent_one_shot", Each, SpentOneShot},
    {"edges", Each, Edges},
    {"exclusive", ExclusiveServer, Exclusive},
    {"high", Each, High},
    {"signals", Each, Signals},
    {"closed_while_polled", Each, ClosedWhilePolled},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
