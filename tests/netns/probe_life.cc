// The probe's scenarios of options, descriptors, processes and listeners.
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

void SayOptions(int fd) {
  SayOption(fd, SOL_SOCKET, SO_TYPE, "SO_TYPE");
  SayOption(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
  SayOption(fd, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  SayOption(fd, SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN");
  SayOption(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
  SayOption(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR");
  SayOption(fd, SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE");
  SayOption(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
  SayOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE");
  timeval limit{};
  socklen_t length = sizeof limit;
  getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &length);
  Say("SO_RCVTIMEO: %ld ms", limit.tv_sec * 1000 + limit.tv_usec / 1000);
  linger wait{};
  length = sizeof wait;
  getsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, &length);
  Say("SO_LINGER: %d %d", wait.l_onoff, wait.l_linger);
}

void SetOptions(int fd, int value) {
  Done("set", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
  Done("set", setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &value, sizeof value));
  Done("set", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
  const int idle = 100 + value;
  Done("set", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle));
  const timeval limit{0, 1000 * (40 + 4 * value)};
  Done("set", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  const linger wait{value, 5};
  Done("set", setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof wait));
}

// Accepted sockets have their listener's options.
void OptionsServer(const Address& any) {
  const int listener = Tcp(any);
  SetOptions(listener, 1);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  SayOptions(listener);
  Say("listener: local %s, peer %s", Local(listener).c_str(), Peer(listener).c_str());
  Say("ready");
  pollfd state{listener, POLLIN, 0};
  poll(&state, 1, kPatienceMs);  // accept() has the time-out
  const int fd = Accept(listener);
  SayOptions(fd);
  Say("accepted: local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  poll(&(state = {fd, POLLIN, 0}), 1, kPatienceMs);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  close(fd);
}
void Options(const Address& server) {
  const int fd = Tcp(server);
  SayOptions(fd);
  SetOptions(fd, 1);
  SayOptions(fd);
  Done("connect", connect(fd, server.get(), server.length));
  SayOptions(fd);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));  // the time-out
  SetOptions(fd, 0);
  SayOptions(fd);
  close(fd);
}

void Shutdowns(const Address& server) {
  const int fresh = Tcp(server);
  Done("shutdown", shutdown(fresh, SHUT_WR));
  close(fresh);
  const int fd = Connected(server);
  RoundTrip(fd, "hello");
  Done("shutdown", shutdown(fd, SHUT_WR));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void Dup(const Address& server) {
  const int fd = Connected(server);
  const int second = dup(fd);
  close(fd);
  RoundTrip(second, "over the second");
  const int third = fcntl(second, F_DUPFD, 500);
  Done("dup2", dup2(second, 3) == 3 ? 0 : -1);
  if (second != 3) close(second);
  RoundTrip(third, "over the third");
  Say("peer %s", Peer(3).c_str());
  Done("shutdown", shutdown(third, SHUT_WR));
  close(third);
  Say("rest: %s", ReadToEnd(3).c_str());
}

void Fork(const Address& server) {
  const int fd = Connected(server);
  const pid_t child = fork();
  if (child == 0) {
    RoundTrip(fd, "from the child");
    Say("peer %s", Peer(fd).c_str());
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  RoundTrip(fd, "from the parent");
  close(fd);
}

constexpr int kWorkers = 3;

void PreforkServer(const Address& any) {
  const int listener = Listen(any);
  for (int i = 0; i < kWorkers; ++i) {
    if (fork() != 0) continue;
    const int fd = accept(listener, nullptr, nullptr);
    char byte;
    const bool good =
        fd >= 0 && read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 0;
    _exit(good ? 0 : 1);
  }
  for (int i = 0; i < kWorkers; ++i) {
    int status = -1;
    wait(&status);
    Say("worker: %d", status);
  }
}
void Prefork(const Address& server) {
  for (int i = 0; i < kWorkers; ++i) {
    const int fd = Connected(server);
    RoundTrip(fd, "x");
    close(fd);
  }
}

void Exec(const Address& server) {
  const int fd = Connected(server);
  RoundTrip(fd, "before");
  const std::string number = std::to_string(fd);
  execl("/proc/self/exe", "socket_probe", "after-exec", number.c_str(), nullptr);
  Done("execl", -1);
}

void Accept4Server(const Address& any) {
  const int listener = Tcp(any, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // In a set since before listen().
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {.u64 = 99}};
  epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  Result("accept4", accept4(listener, nullptr, nullptr, 0));
  Say("ready");
  const int n = epoll_wait(set, &event, 1, kPatienceMs);
  const uint64_t data = event.data.u64;
  Say("%d: %s of %d", n, Events(event.events).c_str(), static_cast<int>(data));
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  Say("flags %d %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, 0));
  Await(fd, POLLIN, "poll");
  Result("recv", recv(fd, &byte, 1, 0));
  Result("accept4", accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  close(fd);
}
void Accept4(const Address& server) {
  const int fd = Connected(server);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  close(fd);
}

void ConnectTwice(const Address& server) {
  const int fd = Connected(server);
  Done("connect", connect(fd, server.get(), server.length));
  Done("listen", listen(fd, 1));
  const Address any = Parse(server.family() == AF_INET ? "0.0.0.0" : "::", 0);
  Done("bind", bind(fd, any.get(), any.length));
  RoundTrip(fd, "still");
  close(fd);
}

// The new listener is there before the first connection ends.
void ReopenServer(const Address& any) {
  int listener = Listen(any);
  const int first = Accept(listener);
  const int same = Tcp(any);
  Done("bind", bind(same, any.get(), any.length));
  close(same);
  close(listener);
  listener = Listen(any);
  close(first);
  const int second = Accept(listener);
  Echo(second);
}
void Reopen(const Address& server) {
  const int first = Connected(server);
  Say("rest: %s", ReadToEnd(first).c_str());
  close(first);
  const int second = Connected(server);
  RoundTrip(second, "again");
  close(second);
}

std::set<std::string> Descriptors() {
  std::set<std::string> names;
  DIR* const folder = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(folder)) names.insert(entry->d_name);
  closedir(folder);
  return names;
}

volatile sig_atomic_t children_ended = 0;

void Unnoticed(const Address& server) {
  struct sigaction action {};
  action.sa_handler = [](int) { children_ended = children_ended + 1; };
  sigaction(SIGCHLD, &action, nullptr);
  const std::set<std::string> before = Descriptors();
  const int fd = Connected(server);
  RoundTrip(fd, "hello");
  Say("one more: %d", Descriptors().size() == before.size() + 1);
  close(fd);
  Say("as before: %d", Descriptors() == before);
  Result("waitpid", waitpid(-1, nullptr, WNOHANG));
  Result("waitpid", waitpid(-1, nullptr, 0));
  Say("SIGCHLD: %d", static_cast<int>(children_ended));
}

}  // namespace

int AfterExec(int fd) {
  Say("after exec: local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  RoundTrip(fd, "after");
  SayOption(fd, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  close(fd);
  return 0;
}

const Scenario kLifeScenarios[] = {
    {"options", OptionsServer, Options},
    {"shutdowns", EchoServer, Shutdowns},
    {"dup", EchoServer, Dup},
    {"fork", EchoServer, Fork},
    {"prefork", PreforkServer, Prefork},
    {"exec", EchoServer, Exec},
    {"accept4", Accept4Server, Accept4},
    {"connect_twice", EchoServer, ConnectTwice},
    {"reopen", ReopenServer, Reopen},
    {"unnoticed", EchoServer, Unnoticed},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
