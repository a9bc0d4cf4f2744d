// The probe's rows of socket options: what each role of socket answers, and what the options do
// that the other end or the program's own calls can see.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

struct Option {
  int level, name;
  const char* text;
  int wanted = 0;  // set to this; 0: only asked for
};

constexpr Option kOptions[] = {
    {SOL_SOCKET, SO_TYPE, "SO_TYPE"},
    {SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"},
    {SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL"},
    {SOL_SOCKET, SO_ERROR, "SO_ERROR"},
    {SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN"},
    {SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST", 1},
    {SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE", 1},
    {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", 1},
    {SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", 1},
    {SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT", 2},
    {SOL_SOCKET, SO_SNDLOWAT, "SO_SNDLOWAT"},
    {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1},
    {SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"},
    {SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP", 1},
    {SOL_SOCKET, SO_MARK, "SO_MARK"},
    {SOL_SOCKET, SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE"},
    {IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1},
    {IPPROTO_TCP, TCP_CORK, "TCP_CORK", 1},
    {IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", 111},
    {IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", 11},
    {IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", 3},
    {IPPROTO_TCP, TCP_SYNCNT, "TCP_SYNCNT", 4},
    {IPPROTO_TCP, TCP_LINGER2, "TCP_LINGER2", 7},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
    {IPPROTO_TCP, TCP_QUICKACK, "TCP_QUICKACK", 1},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", 9000},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT", 16384},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, "TCP_THIN_LINEAR_TIMEOUTS", 1},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT"},
    {IPPROTO_IP, IP_TOS, "IP_TOS", 0x20},
    {IPPROTO_IP, IP_TTL, "IP_TTL", 33},
    {IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER", IP_PMTUDISC_WANT},
    {IPPROTO_IP, IP_RECVERR, "IP_RECVERR", 1},
    {IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", 1},
    {IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL", 1},
    {IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS", 1},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT", 1},
    {IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"},
    {IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS", 0x20},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS", 33},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER", IPV6_PMTUDISC_WANT},
    {IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR", 1},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 1},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS", 1},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "IPV6_RECVHOPLIMIT", 1},
    {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, "IPV6_AUTOFLOWLABEL", 1},
    {SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY", 3},  // IP_TOS changes it
};

void AskAll(int fd, const char* who) {
  Say("-- %s", who);
  for (const Option& option : kOptions) {
    char name[64];
    snprintf(name, sizeof name, "%s %s", who, option.text);
    SayOption(fd, option.level, option.name, name);
  }
}

void SetAll(int fd, const char* who) {
  for (const Option& option : kOptions) {
    if (option.wanted == 0) continue;
    const int result =
        setsockopt(fd, option.level, option.name, &option.wanted, sizeof option.wanted);
    if (result != 0) {
      char name[64];
      snprintf(name, sizeof name, "%s set %s", who, option.text);
      Done(name, result);
    }
  }
}

int ListenWithout(const Address& any) {
  const int fd = Tcp(any);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(fd, any.get(), any.length));
  Done("listen", listen(fd, 8));
  return fd;
}

// Of a listener, of who is accepted from it, before and after all are set.
void AllOptionsServer(const Address& any) {
  const int listener = ListenWithout(any);
  AskAll(listener, "listener");
  Say("ready");
  int fd = Accept(listener);
  AskAll(fd, "accepted");
  SetAll(fd, "accepted");
  AskAll(fd, "accepted, set");
  Echo(fd);
  close(fd);
  fd = Accept(listener);  // came before the listener was set
  SetAll(listener, "listener");
  AskAll(listener, "listener, set");
  Echo(fd);
  close(fd);
  fd = Accept(listener);
  AskAll(fd, "accepted from it");
  Echo(fd);
  close(fd);
}
void AllOptions(const Address& server) {
  int fd = Tcp(server);
  AskAll(fd, "fresh");
  Done("connect", connect(fd, server.get(), server.length));
  AskAll(fd, "connected");
  SetAll(fd, "connected");
  AskAll(fd, "connected, set");
  RoundTrip(fd, "one");
  close(fd);
  fd = Tcp(server);
  SetAll(fd, "fresh");
  Done("connect", connect(fd, server.get(), server.length));
  AskAll(fd, "set, connected");
  RoundTrip(fd, "two");
  close(fd);
  fd = Connected(server);
  RoundTrip(fd, "three");
  close(fd);
}

// What the path says. TCP's own segments have 12 bytes of options, MPTCP's up to 40.
void SayPath(int fd, const char* who) {
  int size = 0;
  socklen_t length = sizeof size;
  Done("TCP_MAXSEG", getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &size, &length));
  Say("%s: TCP_MAXSEG is sane: %d", who, size >= 1380 && size <= 1460);
  SayOption(fd, IPPROTO_IP, IP_MTU, "IP_MTU");
  SayOption(fd, IPPROTO_IPV6, IPV6_MTU, "IPV6_MTU");
  tcp_info info{};
  length = sizeof info;
  Done("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
  Say("state %d", info.tcpi_state);
}

void PathServer(const Address& any) {
  const int listener = Listen(any);
  SayPath(listener, "listener");
  const int fd = Accept(listener);
  SayPath(fd, "accepted");
  Echo(fd);
  SayPath(fd, "half closed");
  close(fd);
}
void Path(const Address& server) {
  const int fd = Tcp(server);
  SayPath(fd, "fresh");
  Done("connect", connect(fd, server.get(), server.length));
  SayPath(fd, "connected");
  RoundTrip(fd, "hello");
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void SayBuffers(int fd, const char* who) {
  Say("-- %s", who);
  SayOption(fd, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF");
  SayOption(fd, SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF");
}

void SetBuffers(int fd, int send, int receive) {
  Done("SO_SNDBUF", setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send));
  Done("SO_RCVBUF", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive));
}

// Set by the program, they stand; else the kernel grows them at its pleasure.
void BuffersServer(const Address& any) {
  const int listener = Tcp(any);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  SetBuffers(listener, 30000, 20000);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  Say("ready");
  SayBuffers(listener, "listener");
  const int fd = Accept(listener);
  SayBuffers(fd, "accepted");
  SetBuffers(fd, 1, 1);
  SayBuffers(fd, "accepted, least");
  Echo(fd);
  close(fd);
}
void Buffers(const Address& server) {
  const int fd = Tcp(server);
  SayBuffers(fd, "fresh");
  SetBuffers(fd, 10000, 12000);
  SayBuffers(fd, "set");
  Done("connect", connect(fd, server.get(), server.length));
  SayBuffers(fd, "connected");
  SetBuffers(fd, 1 << 30, 1 << 30);
  SayBuffers(fd, "connected, most");
  SetBuffers(fd, -1, -1);
  SayBuffers(fd, "connected, below zero");
  RoundTrip(fd, "still");
  close(fd);
}

// SO_RCVLOWAT: recv() waits for as many.
void LowWaterServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Result("send", send(fd, "abc", 3, 0));
  char cue;
  Result("recv", recv(fd, &cue, 1, 0));
  Result("send", send(fd, "def", 3, 0));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}
void LowWater(const Address& server) {
  const int fd = Connected(server);
  const int six = 6;
  Done("SO_RCVLOWAT", setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &six, sizeof six));
  AwaitQueued(fd, 3);
  pollfd state{fd, POLLIN, 0};
  poll(&state, 1, 0);
  Say("poll with three: %s", Events(static_cast<uint16_t>(state.revents)).c_str());
  Result("send", send(fd, "x", 1, 0));
  // A recv() that takes the first three sleeps for ever on some kernels, which count anew.
  AwaitQueued(fd, 6);
  Await(fd, POLLIN, "poll with six");
  char bytes[7] = "";
  Result("recv", recv(fd, bytes, 6, 0));
  Say("received %s", bytes);
  close(fd);
}

// A client that says nothing is not accepted yet. A second connection tells when it is there.
void DeferServer(const Address& any) {
  const int listener = Tcp(any);
  const int seconds = 20, one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("TCP_DEFER_ACCEPT",
       setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds));
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  const int other = Listen(Closed(any));
  const int cue = Accept(other);
  pollfd state{listener, POLLIN, 0};
  poll(&state, 1, 0);
  Say("silent: %s", Events(static_cast<uint16_t>(state.revents)).c_str());
  Result("send", send(cue, "x", 1, 0));
  Await(listener, POLLIN, "has spoken");
  const int fd = Accept(listener);
  char bytes[6] = "";
  AwaitQueued(fd, 5);
  Result("recv", recv(fd, bytes, 5, MSG_DONTWAIT));
  Say("received %s", bytes);
  close(fd);
  close(cue);
}
void Defer(const Address& server) {
  const int fd = Connected(server);
  const int cue = Connected(Closed(server));
  char byte;
  Result("recv", recv(cue, &byte, 1, 0));
  Result("send", send(fd, "hello", 5, 0));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
  close(cue);
}

// Listeners that are told apart by family: over IPv4 nobody listens.
void V6OnlyServer(const Address&) {
  const Address six = Parse("::", kPort);
  const int listener = Tcp(six);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("IPV6_V6ONLY", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
  Done("bind", bind(listener, six.get(), six.length));
  Done("listen", listen(listener, 8));
  SayOption(listener, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  const int zero = 0;
  Done("too late", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero));
  Say("ready");
  const int fd = Accept(listener);
  SayOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  Echo(fd);
  close(fd);
}
void V6Only(const Address&) {
  // The lab's addresses of the server, lab.h.
  const int four = Connected(Parse("10.9.1.2", kPort));
  close(four);
  const int fd = Connected(Parse("fd00:9:1::2", kPort));
  RoundTrip(fd, "six");
  close(fd);
}

// One listener for both families: mapped addresses, whoever is asked.
void MappedServer(const Address&) {
  const int listener = Listen(Parse("::", kPort));
  SayOption(listener, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  for (int i = 0; i < 2; ++i) {
    const int fd = Accept(listener);
    Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
    SayOption(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
    SayOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
    SayOption(fd, IPPROTO_IP, IP_TTL, "IP_TTL");
    Echo(fd);
    close(fd);
  }
}
void Mapped(const Address&) {
  int fd = Connected(Parse("10.9.1.2", kPort));
  RoundTrip(fd, "four");
  close(fd);
  // The client's own socket of AF_INET6, to a mapped address.
  fd = Connected(Parse("::ffff:10.9.1.2", kPort));
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  RoundTrip(fd, "mapped");
  close(fd);
}

constexpr int kGroupClients = 32;

// SO_REUSEPORT: two processes, a listener each.
void GroupServer(const Address& any) {
  int ready[2], lines[2];
  if (pipe(ready) != 0 || pipe(lines) != 0) return;
  pid_t members[2];
  for (pid_t& member : members) {
    member = fork();
    if (member != 0) continue;
    const int listener = Tcp(any);
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const char* call = "bind";
    bool good = bind(listener, any.get(), any.length) == 0;
    if (good) good = listen(listener, kGroupClients) == 0, call = "listen";
    if (!good) Done(call, -1);
    int value = 0;
    socklen_t length = sizeof value;
    getsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &value, &length);
    if (!good || value != 1 || write(ready[1], "r", 1) != 1) _exit(1);
    for (;;) {
      const int fd = accept(listener, nullptr, nullptr);
      char byte;
      if (fd < 0 || read(fd, &byte, 1) != 1) _exit(2);
      if (byte == 'e') _exit(0);
      if (write(fd, &byte, 1) != 1 || write(lines[1], &member == members ? "0" : "1", 1) != 1)
        _exit(3);
      close(fd);
    }
  }
  char byte;
  for (int i = 0; i < 2; ++i)
    if (read(ready[0], &byte, 1) != 1) return;
  Say("ready");
  int served[2] = {};
  for (int i = 0; i < kGroupClients && read(lines[0], &byte, 1) == 1; ++i) ++served[byte - '0'];
  Say("all served %d, by both %d", served[0] + served[1] == kGroupClients,
      served[0] > 0 && served[1] > 0);
  for (const pid_t member : members) {
    kill(member, SIGTERM);
    int status = 0;
    waitpid(member, &status, 0);
    Say("member ended by %d", WTERMSIG(status));
  }
}
void Group(const Address& server) {
  int good = 0;
  for (int i = 0; i < kGroupClients; ++i) {
    const int fd = Tcp(server);
    char byte = 'x';
    if (connect(fd, server.get(), server.length) == 0 && write(fd, &byte, 1) == 1 &&
        read(fd, &byte, 1) == 1 && byte == 'x')
      ++good;
    close(fd);
  }
  Say("served %d", good);
}

// What TCP has and a captured socket refuses: a clean errno, and the connection goes on.
void Refused(const Address& server) {
  const int fd = Connected(server);
  Done("TCP_ULP", setsockopt(fd, IPPROTO_TCP, TCP_ULP, "nonexistent", 11));
  tcp_md5sig signature{};
  memcpy(&signature.tcpm_addr, &server.storage, sizeof signature.tcpm_addr);
  signature.tcpm_keylen = 3;
  memcpy(signature.tcpm_key, "key", 3);
  Done("TCP_MD5SIG", setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature));
  const int one = 1;
  Done("SO_ZEROCOPY", setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one));
  Done("TCP_REPAIR", setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &one, sizeof one));
  const int ttl = 255;
  Done("IP_MINTTL", setsockopt(fd, IPPROTO_IP, IP_MINTTL, &ttl, sizeof ttl));
  Done("TCP_INQ", setsockopt(fd, IPPROTO_TCP, TCP_INQ, &one, sizeof one));
  RoundTrip(fd, "goes on");
  close(fd);
}

// What only the kernel's TCP does: a device, notifications.
void EchoTwo(const Address& any) {
  const int listener = Listen(any);
  for (int i = 0; i < 2; ++i) {
    const int fd = Accept(listener);
    Echo(fd);
    close(fd);
  }
}
void Wishes(const Address& server) {
  int fd = Tcp(server);
  Done("SO_BINDTODEVICE", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "l1", 3));
  Done("to a device", connect(fd, server.get(), server.length));
  RoundTrip(fd, "over l1");
  close(fd);
  fd = Tcp(server);
  const int one = 1;
  Done("SO_ZEROCOPY", setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one));
  Done("with notifications", connect(fd, server.get(), server.length));
  RoundTrip(fd, "uncopied");
  close(fd);
}

void SetTrafficClass(int fd, const Address& address, int value) {
  Done("set", address.family() == AF_INET
                  ? setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof value)
                  : setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value));
}

// The test looks at the wire: af41 up; cs1 down, which the listener hands on.
void MarkedServer(const Address& any) {
  const int listener = Tcp(any);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  SetTrafficClass(listener, any, 0x20);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  Say("ready");
  const int fd = Accept(listener);
  Echo(fd);
  close(fd);
}
void Marked(const Address& server) {
  const int fd = Tcp(server);
  SetTrafficClass(fd, server, 0x88);
  Done("connect", connect(fd, server.get(), server.length));
  RoundTrip(fd, "marked");
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void WrongOptions(const Address& server) {
  const int fd = Connected(server);
  const int one = 1;
  char name[16] = "";
  socklen_t size = sizeof name;
  Done("TCP_CONGESTION", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
  Done("TCP_CONGESTION", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size));
  Say("%s, length %u", name, size);
  Done("no such", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonexistent", 11));
  char value[4];
  socklen_t length = sizeof value;
  Done("unknown", setsockopt(fd, IPPROTO_TCP, 9999, &one, sizeof one));
  Done("unknown", getsockopt(fd, IPPROTO_TCP, 9999, value, &length));
  Done("unknown level", setsockopt(fd, 9999, 1, &one, sizeof one));
  Done("short", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 1));
  const int far = 40000;
  Done("beyond", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &far, sizeof far));
  length = 1;
  Done("one byte", getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, value, &length));
  Say("length %u", length);
  Done("not ours", setsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &one, sizeof one));
  close(fd);
}

}  // namespace

const Scenario kOptionScenarios[] = {
    {"all_options", AllOptionsServer, AllOptions},
    {"path", PathServer, Path},
    {"buffers", BuffersServer, Buffers},
    {"low_water", LowWaterServer, LowWater},
    {"defer_accept", DeferServer, Defer},
    {"v6_only", V6OnlyServer, V6Only},
    {"mapped", MappedServer, Mapped},
    {"reuseport", GroupServer, Group},
    {"refused_options", EchoServer, Refused},
    {"wrong_options", EchoServer, WrongOptions},
    {"wishes", EchoTwo, Wishes},
    {"marked", MarkedServer, Marked},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
