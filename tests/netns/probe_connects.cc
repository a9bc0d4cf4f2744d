// The probe's rows of connecting: again after a failure, from a bound address, to nobody; what the
// calls say of a socket that listens, waits or is over.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

void EchoTwo(const Address& any) {
  const int listener = Listen(any);
  for (int i = 0; i < 2; ++i) {
    const int fd = Accept(listener);
    Echo(fd);
    close(fd);
  }
}

// An address of the link that nobody has (lab.h).
Address Nobody(const Address& server) {
  return Parse(server.family() == AF_INET ? "10.9.1.77" : "fd00:9:1::77", kPort);
}

Address Wildcard(const Address& like, uint16_t port) {
  return Parse(like.family() == AF_INET ? "0.0.0.0" : "::", port);
}

int Bind(int fd, const Address& address) { return bind(fd, address.get(), address.length); }
int Connect(int fd, const Address& address) { return connect(fd, address.get(), address.length); }

void Forget(int fd) {
  const sockaddr none{AF_UNSPEC, {}};
  Done("AF_UNSPEC", connect(fd, &none, sizeof none));
}

void Again(const Address& server) {
  const int fd = Tcp(server);
  Done("refused", Connect(fd, Closed(server)));
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Done("connect", Connect(fd, server));
  RoundTrip(fd, "at last");
  Done("connect", Connect(fd, server));
  close(fd);
}

void AgainNonBlocking(const Address& server) {
  const int fd = Tcp(server, SOCK_NONBLOCK);
  Done("connect", Connect(fd, Closed(server)));
  Await(fd, POLLOUT, "refused");
  Done("told", Connect(fd, server));
  Done("connect", Connect(fd, server));
  Await(fd, POLLOUT, "connected");
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Say("peer %s", Peer(fd).c_str());
  fcntl(fd, F_SETFL, 0);
  RoundTrip(fd, "at last");
  close(fd);
}

// What connect(AF_UNSPEC) forgets, its peer sees reset.
void ForgottenServer(const Address& any) {
  const int listener = Listen(any);
  int fd = Accept(listener);
  Echo(fd);
  close(fd);
  fd = Accept(listener);
  Echo(fd);
  close(fd);
}
void Forgotten(const Address& server) {
  const int fd = Tcp(server);
  Forget(fd);  // of nothing
  Done("connect", Connect(fd, server));
  RoundTrip(fd, "first");
  Forget(fd);
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Say("peer %s", Peer(fd).c_str());
  Done("connect", Connect(fd, server));
  RoundTrip(fd, "second");
  close(fd);
}

uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return reinterpret_cast<const sockaddr_in*>(&address)->sin_port;
}

void Bound(const Address& server) {
  const int fd = Tcp(server);
  const Address any = Wildcard(server, 0);
  Done("bind", Bind(fd, any));
  Say("local %s", Local(fd).c_str());
  Done("again", Bind(fd, any));
  const uint16_t port = PortOf(fd);
  const int other = Tcp(server);
  Done("taken", Bind(other, Wildcard(server, ntohs(port))));
  Done("not here", Bind(other, Parse(server.family() == AF_INET ? "192.0.2.1" : "2001:db8::1", 0)));
  close(other);
  Done("connect", Connect(fd, server));
  Say("local %s, the same port: %d", Local(fd).c_str(), PortOf(fd) == port);
  RoundTrip(fd, "bound");
  close(fd);
  // An address without a port: chosen at connect().
  const int late = Tcp(server);
  const int one = 1;
  setsockopt(late, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  const Address own = Parse(server.family() == AF_INET ? "10.9.1.1" : "fd00:9:1::1", 0);
  Done("bind", Bind(late, own));
  Say("local %s", Local(late).c_str());
  Done("connect", Connect(late, server));
  Say("local %s", Local(late).c_str());
  RoundTrip(late, "late");
  close(late);
}

// SO_SNDTIMEO bounds connect().
void Timed(const Address& server) {
  const int fd = Tcp(server);
  const timeval limit{0, 60'000};
  Done("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  Done("connect", Connect(fd, Nobody(server)));
  Done("connect", Connect(fd, Nobody(server)));
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  close(fd);
  close(Connected(server));
}

// While a connect() is pending.
void Waiting(const Address& server) {
  const int fd = Tcp(server, SOCK_NONBLOCK);
  Done("connect", Connect(fd, Nobody(server)));
  Done("connect", Connect(fd, Nobody(server)));
  Done("bind", Bind(fd, Wildcard(server, 0)));
  Done("listen", listen(fd, 1));
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Say("peer %s", Peer(fd).c_str());
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  pollfd state{fd, POLLIN | POLLOUT | POLLRDHUP, 0};
  Result("poll", poll(&state, 1, 0));
  Forget(fd);
  Done("connect", Connect(fd, server));
  Await(fd, POLLOUT, "connected");
  fcntl(fd, F_SETFL, 0);
  RoundTrip(fd, "after all");
  close(fd);
}

// Nobody answers for the address on its link.
void Unreachable(const Address& server) {
  const int fd = Tcp(server);
  const int limit = 5000;  // of no account: an answer comes first
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
  Done("connect", Connect(fd, Nobody(server)));
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  close(fd);
  close(Connected(server));
}

void NoRoute(const Address& server) {
  const int fd = Tcp(server);
  const Address nowhere = Parse(server.family() == AF_INET ? "203.0.113.9" : "2001:db8::9", kPort);
  Done("connect", Connect(fd, nowhere));
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Done("connect", Connect(fd, server));
  RoundTrip(fd, "there is a way");
  close(fd);
}

// To a port whose packets are dropped: TCP_USER_TIMEOUT ends it.
void Silence(const Address& server) {
  const int fd = Tcp(server);
  const int limit = 200;
  Done("set", setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit));
  Done("connect", Connect(fd, Closed(server)));
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Done("connect", Connect(fd, server));
  RoundTrip(fd, "elsewhere");
  close(fd);
}

void Wrong(const Address& server) {
  const int fd = Tcp(server);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Result("accept", accept(fd, nullptr, nullptr));
  Done("short", connect(fd, server.get(), 4));
  Address other = server;
  other.storage.ss_family = AF_UNIX;
  Done("family", Connect(fd, other));
  Done("how", shutdown(fd, 9));
  Done("connect", Connect(fd, server));
  Result("accept", accept(fd, nullptr, nullptr));
  Done("how", shutdown(fd, 9));
  Done("connect", Connect(fd, server));
  Done("no address", connect(fd, nullptr, 16) == -1 && errno == EFAULT ? 0 : -1);
  RoundTrip(fd, "right");
  close(fd);
}

// What a socket says when both directions are over, or a reset has come.
void OverServer(const Address& any) {
  const int listener = Listen(any);
  int fd = Accept(listener);
  Echo(fd);
  close(fd);
  fd = Accept(listener);
  AwaitBytes(fd, 5);
  close(fd);
}
void SayWhatIsOver(int fd) {
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  Done("shutdown", shutdown(fd, SHUT_WR));
  Done("shutdown", shutdown(fd, SHUT_RDWR));
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Await(fd, POLLIN | POLLOUT | POLLRDHUP, "poll");
}
void Over(const Address& server) {
  int fd = Connected(server);
  RoundTrip(fd, "hello");
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  SayWhatIsOver(fd);
  close(fd);
  fd = Connected(server);
  Result("send", send(fd, "hello", 5, 0));
  Await(fd, POLLIN | POLLRDHUP, "reset");
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  SayWhatIsOver(fd);
  close(fd);
}

void ListenersServer(const Address& any) {
  const int fd = Tcp(any);
  Done("listen", listen(fd, 2));  // a port is chosen
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  Done("again", listen(fd, 3));
  Done("bind", Bind(fd, any));
  Done("connect", Connect(fd, any));
  fcntl(fd, F_SETFL, O_NONBLOCK);
  Result("accept", accept(fd, nullptr, nullptr));
  Result("accept4", accept4(fd, nullptr, nullptr, 0x40));
  pollfd state{fd, POLLIN | POLLOUT, 0};
  Result("poll", poll(&state, 1, 0));
  close(fd);
  // Two that are bound to one port: who listens first has it.
  const int one = 1;
  int two[2];
  for (int& each : two) {
    each = Tcp(any);
    setsockopt(each, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    Done("bind", Bind(each, any));
  }
  Done("listen", listen(two[0], 1));
  Done("listen", listen(two[1], 1));
  const int third = Tcp(any);
  Done("bind", Bind(third, any));
  close(third);
  close(two[1]);
  Say("ready");
  const int accepted = Accept(two[0]);
  Echo(accepted);
  close(accepted);
}

// Threads that wait are woken by shutdown().
void WokenServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  {
    std::string outcome;
    Waiter waiter([&] {
      const int n = accept(listener, nullptr, nullptr);
      outcome = n < 0 ? strerrorname_np(errno) : "accepted";
    });
    waiter.AwaitBlocked();
    Done("shutdown", shutdown(listener, SHUT_RD));
    waiter.Join();
    Say("accept: %s", outcome.c_str());
  }
  Echo(fd);
  close(fd);
}
void Woken(const Address& server) {
  const int fd = Connected(server);
  RoundTrip(fd, "hello");
  ssize_t n = -2;
  Waiter waiter([&] {
    char byte;
    n = recv(fd, &byte, 1, 0);
  });
  waiter.AwaitBlocked();
  Done("shutdown", shutdown(fd, SHUT_RD));
  waiter.Join();
  Say("recv: %zd", n);
  Done("shutdown", shutdown(fd, SHUT_WR));
  close(fd);
}

// A signal whose handler does not restart calls ends connect() and recv().
void Interrupted(const Address& server) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  const int fd = Connected(server);
  const auto disturb = [](const char* what, const std::function<ssize_t()>& call) {
    std::string outcome;
    Waiter waiter([&] {
      const ssize_t n = call();
      outcome = n < 0 ? strerrorname_np(errno) : std::to_string(n);
    });
    waiter.Disturb(SIGUSR1);
    waiter.Join();
    Say("%s: %s", what, outcome.c_str());
  };
  char byte;
  disturb("recv", [&] { return recv(fd, &byte, 1, 0); });
  const int lonely = Tcp(server);
  disturb("connect", [&] { return Connect(lonely, Nobody(server)); });
  fcntl(lonely, F_SETFL, O_NONBLOCK);
  Done("connect", Connect(lonely, Nobody(server)));
  close(lonely);
  RoundTrip(fd, "goes on");
  close(fd);
}

}  // namespace

const Scenario kConnectScenarios[] = {
    {"again", EchoServer, Again},
    {"again_nonblocking", EchoServer, AgainNonBlocking},
    {"forgotten", ForgottenServer, Forgotten},
    {"bound", EchoTwo, Bound},
    {"timed_connect", EchoServer, Timed},
    {"waiting_connect", EchoServer, Waiting},
    {"unreachable", EchoServer, Unreachable},
    {"no_route", EchoServer, NoRoute},
    {"silence", EchoServer, Silence},
    {"wrong_calls", EchoServer, Wrong},
    {"over", OverServer, Over},
    {"listeners", ListenersServer,
     [](const Address& server) {
       const int fd = Connected(server);
       RoundTrip(fd, "to the first");
       close(fd);
     }},
    {"woken", WokenServer, Woken},
    {"interrupted", EchoServer, Interrupted},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
