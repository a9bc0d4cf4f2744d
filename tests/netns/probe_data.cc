// The probe's scenarios of connecting, carrying bytes, and ending.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

void SendHello(int fd) { Result("send", send(fd, "hello", 5, MSG_NOSIGNAL)); }

void ReceiveHello(int fd) {
  char bytes[6] = "";
  Result("recv", recv(fd, bytes, 5, MSG_WAITALL));
  Say("received %s", bytes);
}

void FinishEcho(int fd) {
  SendHello(fd);
  ReceiveHello(fd);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void Blocking(const Address& server) {
  const int fd = Tcp(server);
  Say("before: local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  Done("connect", connect(fd, server.get(), server.length));
  Say("after: local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  FinishEcho(fd);
}

void DualStackServer(const Address&) { EchoServer(Parse("::", kPort)); }

int StartConnect(const Address& server) {
  const int fd = Tcp(server, SOCK_NONBLOCK | SOCK_CLOEXEC);
  Done("connect", connect(fd, server.get(), server.length));
  return fd;
}

void FinishConnect(int fd) {
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Say("peer %s", Peer(fd).c_str());
  fcntl(fd, F_SETFL, 0);
  FinishEcho(fd);
}

void Poll(const Address& server) {
  const int fd = StartConnect(server);
  Await(fd, POLLIN | POLLOUT | POLLRDHUP, "poll");
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  FinishConnect(fd);
}

void Select(const Address& server) {
  const int fd = StartConnect(server);
  fd_set readable, writable;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  FD_SET(fd, &readable);
  FD_SET(fd, &writable);
  timeval limit{kPatienceMs / 1000, 0};
  Result("select", select(fd + 1, &readable, &writable, nullptr, &limit));
  Say("readable %d writable %d", FD_ISSET(fd, &readable), FD_ISSET(fd, &writable));
  FinishConnect(fd);
}

// Registered before connect(), as nginx and Asio do.
void Epoll(const Address& server, uint32_t mode) {
  const int fd = Tcp(server, SOCK_NONBLOCK);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | mode, {.fd = fd}};
  Done("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  Say("fresh: %s", Next(set, 0).c_str());
  Done("connect", connect(fd, server.get(), server.length));
  Say("connected: %s", Next(set, kPatienceMs).c_str());
  Say("again: %s", Next(set, 0).c_str());
  SendHello(fd);
  event.events = EPOLLIN | mode;
  Done("epoll_ctl", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  Say("answer: %s", Next(set, kPatienceMs).c_str());
  ReceiveHello(fd);
  Say("empty: %s", Next(set, 0).c_str());
  Done("epoll_ctl", epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr));
  close(set);
  FinishConnect(fd);
}
void EpollLevel(const Address& server) { Epoll(server, 0); }
void EpollEdge(const Address& server) { Epoll(server, EPOLLET); }

void RefusedBlocking(const Address& server) {
  const Address closed = Closed(server);
  const int fd = Connected(closed);
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Say("peer %s", Peer(fd).c_str());
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Done("connect", connect(fd, closed.get(), closed.length));
  close(fd);
}

void RefusedNonBlocking(const Address& server) {
  const Address closed = Closed(server);
  const int fd = Tcp(server, SOCK_NONBLOCK);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = fd}};
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  Say("fresh: %s", Next(set, 0).c_str());
  Done("connect", connect(fd, closed.get(), closed.length));
  Say("refused: %s", Next(set, kPatienceMs).c_str());
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Await(fd, POLLIN | POLLOUT | POLLRDHUP, "poll");
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  Say("peer %s", Peer(fd).c_str());
  Done("connect", connect(fd, closed.get(), closed.length));
  close(fd);
  close(set);
}

void ClientEndsFirstServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Say("received %s", ReadToEnd(fd).c_str());
  Await(fd, POLLIN | POLLOUT | POLLRDHUP, "ended");
  SendHello(fd);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Await(fd, POLLIN | POLLRDHUP, "both ended");
  close(fd);
}
void ClientEndsFirst(const Address& server) {
  const int fd = Connected(server);
  SendHello(fd);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  ReceiveHello(fd);
  Say("rest: %s", ReadToEnd(fd).c_str());
  Await(fd, POLLIN | POLLRDHUP, "both ended");
  close(fd);
}

void ServerEndsFirstServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  SendHello(fd);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("received %s", ReadToEnd(fd).c_str());
  close(fd);
}
void ServerEndsFirst(const Address& server) {
  const int fd = Connected(server);
  ReceiveHello(fd);
  Await(fd, POLLRDHUP, "end");
  Say("rest: %s", ReadToEnd(fd).c_str());
  SendHello(fd);
  Done("shutdown", shutdown(fd, SHUT_WR));
  close(fd);
}

// MSG_MORE holds a short segment back until the next bytes, be TCP_NODELAY on. The server answers
// with the number of bytes that came first.
void MoreServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  char bytes[100];
  ssize_t first;
  while ((first = recv(fd, bytes, sizeof bytes, 0)) > 0) {
    const char answer = static_cast<char>('0' + first);
    send(fd, &answer, 1, 0);
    if (first < 8) recv(fd, bytes, static_cast<size_t>(8 - first), MSG_WAITALL);
  }
  Result("recv", first);
  close(fd);
}
void More(const Address& server) {
  using std::chrono::steady_clock;
  const int fd = Connected(server);
  const int on = 1;
  Done("TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  char first = 0;
  // Held back for 200 ms at most: once more where this program was not given the processor between.
  for (bool in_time = false; !in_time;) {
    const auto begin = steady_clock::now();
    send(fd, "head", 4, MSG_MORE);
    if (write(fd, "body", 4) != 4) break;
    in_time = steady_clock::now() - begin < std::chrono::milliseconds(100);
    if (recv(fd, &first, 1, 0) != 1) break;
  }
  Say("%c bytes first", first);
  // Alone they leave all the same.
  Result("send", send(fd, "head", 4, MSG_MORE));
  Result("recv", recv(fd, &first, 1, 0));
  Say("%c bytes first", first);
  Result("send", send(fd, "body", 4, 0));
  close(fd);
}

// close() with bytes unread is a reset.
void ResetServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  AwaitBytes(fd, 5);
  Done("close", close(fd));
}
void Reset(const Address& server) {
  const int fd = Connected(server);
  SendHello(fd);
  Await(fd, POLLIN | POLLRDHUP, "reset");
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  Result("recv", recv(fd, &byte, 1, 0));
  Result("send", send(fd, "x", 1, MSG_NOSIGNAL));
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Await(fd, POLLIN | POLLOUT | POLLRDHUP, "after");
  close(fd);
}

void ResetErrorServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  SendHello(fd);
  AwaitBytes(fd, 5);
  const linger at_once{1, 0};
  Done("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  char bytes[5];
  Result("recv", recv(fd, bytes, sizeof bytes, MSG_WAITALL));
  close(fd);
}
void LingerReset(const Address& server) {
  const int fd = Connected(server);
  ReceiveHello(fd);
  SendHello(fd);
  Await(fd, POLLIN | POLLRDHUP, "reset");
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  SayOption(fd, SOL_SOCKET, SO_ERROR, "SO_ERROR");
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void PeekServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Result("send", send(fd, "0123456789", 10, 0));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}
void Peek(const Address& server) {
  const int fd = Connected(server);
  AwaitBytes(fd, 10);
  char bytes[11] = "";
  Result("peek", recv(fd, bytes, 4, MSG_PEEK));
  Say("peeked %s", bytes);
  Result("recv", recv(fd, bytes, 4, 0));
  int there = 0;
  Done("FIONREAD", ioctl(fd, FIONREAD, &there));
  Say("left %d", there);
  Result("recv", recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));
  Result("recv", recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));
  Done("FIONREAD", ioctl(fd, FIONREAD, &there));
  Say("left %d", there);
  close(fd);
}

void VectorsAndFiles(const Address& server) {
  const int fd = Connected(server);
  char one[] = "one", two[] = "twotwo";
  const iovec out[] = {{one, 3}, {two, 6}};
  Result("writev", writev(fd, out, 2));
  const int file = memfd_create("file", MFD_CLOEXEC);
  Result("write", write(file, "from a file", 11));
  off_t offset = 0;
  Result("sendfile", sendfile(fd, file, &offset, 11));
  AwaitBytes(fd, 20);
  char first[8] = "", second[20] = "";
  const iovec in[] = {{first, 7}, {second, 13}};
  Result("readv", readv(fd, in, 2));
  Say("received %s %s", first, second);
  close(file);
  FinishEcho(fd);
}

void Addresses(const Address& server) {
  const int fd = Connected(server);
  Result("sendto", sendto(fd, "hello", 5, 0, server.get(), server.length));
  char bytes[6] = "";
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  Result("recvfrom",
         recvfrom(fd, bytes, 5, MSG_WAITALL, reinterpret_cast<sockaddr*>(&from), &length));
  Say("length %u", length);
  iovec piece{bytes, 5};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(server.get());
  message.msg_namelen = server.length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Result("sendmsg", sendmsg(fd, &message, 0));
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  Result("recvmsg", recvmsg(fd, &message, MSG_WAITALL));
  Say("length %u flags %d", message.msg_namelen, message.msg_flags);
  FinishEcho(fd);
}

void Megabytes(const Address& server) {
  const int fd = Connected(server);
  const size_t size = 4 << 20;
  const pid_t writer = fork();
  if (writer == 0) {
    std::vector<char> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + (i >> 12));
    size_t sent = 0;
    while (sent < size) {
      const ssize_t n = write(fd, bytes.data() + sent, size - sent);
      if (n <= 0) _exit(1);
      sent += static_cast<size_t>(n);
    }
    shutdown(fd, SHUT_WR);
    _exit(0);
  }
  const std::string text = ReadToEnd(fd);
  size_t good = 0;
  while (good < text.size() && text[good] == static_cast<char>(good * 31 + (good >> 12))) ++good;
  Say("received %zu, right %zu", text.size(), good);
  close(fd);
}

// A byte that is urgent and stays in its place in the stream.
void UrgentServer(const Address& any) {
  const int listener = Listen(any);
  const int one = 1;  // before anybody comes, and inherited
  setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
  const int fd = Accept(listener);
  Say("received %s", ReadToEnd(fd).c_str());
  close(fd);
  close(listener);
}

void Urgent(const Address& server) {
  const int fd = Connected(server);
  Result("send", send(fd, "before", 6, MSG_NOSIGNAL));
  Result("send urgent", send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL));
  Result("send", send(fd, "after", 5, MSG_NOSIGNAL));
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

}  // namespace

const Scenario kDataScenarios[] = {
    {"blocking", EchoServer, Blocking},
    {"dual_stack", DualStackServer, Blocking},
    {"poll", EchoServer, Poll},
    {"select", EchoServer, Select},
    {"epoll_level", EchoServer, EpollLevel},
    {"epoll_edge", EchoServer, EpollEdge},
    {"refused_blocking", EchoServer,
     [](const Address& a) {
       RefusedBlocking(a);
       close(Connected(a));
     }},
    {"refused_nonblocking", EchoServer,
     [](const Address& a) {
       RefusedNonBlocking(a);
       close(Connected(a));
     }},
    {"client_ends_first", ClientEndsFirstServer, ClientEndsFirst},
    {"server_ends_first", ServerEndsFirstServer, ServerEndsFirst},
    {"more", MoreServer, More},
    {"reset", ResetServer, Reset},
    {"linger_reset", ResetErrorServer, LingerReset},
    {"peek", PeekServer, Peek},
    {"vectors_and_files", EchoServer, VectorsAndFiles},
    {"addresses", EchoServer, Addresses},
    {"megabytes", EchoServer, Megabytes},
    {"urgent", UrgentServer, Urgent},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
