#include "tests/netns/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mptcptls::probe {

Address Parse(const std::string& text, uint16_t port) {
  Address address;
  if (text.find(':') == std::string::npos) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    inet_pton(AF_INET, text.c_str(), &v4->sin_addr);
    address.length = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
    address.length = sizeof *v6;
  }
  return address;
}

Address Closed(const Address& address) {
  Address closed = address;
  // The port has the same place in both families.
  reinterpret_cast<sockaddr_in*>(&closed.storage)->sin_port = htons(kClosedPort);
  return closed;
}

void Say(const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  line[length++] = '\n';
  if (write(STDOUT_FILENO, line, static_cast<size_t>(length)) != length) abort();
}

void Result(const char* what, ssize_t result) {
  if (result < 0)
    Say("%s: %s", what, strerrorname_np(errno));
  else
    Say("%s: %zd", what, result);
}

void Done(const char* what, int result) {
  Say("%s: %s", what, result == 0 ? "ok" : strerrorname_np(errno));
}

std::string Events(uint32_t events) {
  static_assert(POLLIN == EPOLLIN && POLLRDHUP == EPOLLRDHUP && POLLERR == EPOLLERR);
  static constexpr struct {
    uint32_t bit;
    const char* name;
  } kNames[] = {{POLLIN, "IN"},   {POLLPRI, "PRI"}, {POLLOUT, "OUT"},
                {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLRDHUP, "RDHUP"}};
  std::string text;
  for (const auto& name : kNames) {
    if ((events & name.bit) != 0) text += (text.empty() ? "" : "|") + std::string(name.name);
  }
  return text.empty() ? "none" : text;
}

std::string NameOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  uint16_t port = 0;
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    port = ntohs(v6->sin6_port);
  } else {
    return "family " + std::to_string(address.ss_family);
  }
  const bool known = port == 0 || port == kPort || port == kClosedPort || port == 443;
  return std::string(text) + ":" + (known ? std::to_string(port) : "ephemeral");
}

namespace {
std::string Ask(decltype(&getsockname) call, int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return strerrorname_np(errno);
  return NameOf(address) + " length " + std::to_string(length);
}
}  // namespace

std::string Local(int fd) { return Ask(getsockname, fd); }
std::string Peer(int fd) { return Ask(getpeername, fd); }

void SayOption(int fd, int level, int option, const char* name) {
  int value = -1;
  socklen_t length = sizeof value;
  const int result = getsockopt(fd, level, option, &value, &length);
  if (result != 0)
    Done(name, result);
  else
    Say("%s: %d length %u", name, value, length);
}

int Tcp(const Address& address, int flags) {
  const char* const protocol = getenv("PROBE_PROTOCOL");  // a number
  return socket(address.family(), SOCK_STREAM | flags, protocol == nullptr ? 0 : atoi(protocol));
}

int Listen(const Address& address, int backlog) {
  const int fd = Tcp(address);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(fd, address.get(), address.length));
  Done("listen", listen(fd, backlog));
  Say("ready");
  return fd;
}

int Accept(int listener) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const int fd = accept(listener, reinterpret_cast<sockaddr*>(&from), &length);
  if (fd < 0)
    Result("accept", fd);
  else
    Say("accepted %s length %u", NameOf(from).c_str(), length);
  return fd;
}

int Connected(const Address& address) {
  const int fd = Tcp(address);
  Done("connect", connect(fd, address.get(), address.length));
  return fd;
}

void Await(int fd, int events, const char* what) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  pollfd state{fd, static_cast<short>(events), 0};
  int n = poll(&state, 1, kPatienceMs);
  // A reset that arrives while poll() looks shows its error before its end (Linux sets sk_err
  // first, then the state, then that both directions are shut): what is said is all.
  const int whole = POLLERR | POLLHUP | (events & POLLRDHUP);
  while (n == 1 && (state.revents & POLLERR) != 0 && (state.revents & whole) != whole &&
         steady_clock::now() < end) {
    n = poll(&state, 1, kPatienceMs);
  }
  Say("%s: %s", what,
      n == 1 ? Events(static_cast<uint16_t>(state.revents)).c_str() : "nothing happened");
}

void AwaitBytes(int fd, int size) {
  // Each arrival is an edge.
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN | EPOLLET, {.fd = fd}};
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  int there = 0;
  while (epoll_wait(set, &event, 1, kPatienceMs) == 1) {
    if (ioctl(fd, FIONREAD, &there) != 0 || there >= size) break;
  }
  close(set);
  Say("can be read: %d", there);
}

void AwaitQueued(int fd, int size) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  int there = 0;
  while (ioctl(fd, FIONREAD, &there) == 0 && there < size && steady_clock::now() < end)
    sched_yield();
}

std::string Next(int set, int wait_ms) {
  epoll_event event{};
  return epoll_wait(set, &event, 1, wait_ms) == 1 ? Events(event.events) : "no event";
}

std::string ReadToEnd(int fd) {
  std::string text;
  char bytes[65536];
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) > 0) text.append(bytes, static_cast<size_t>(n));
  return n == 0 ? text : text + " then " + strerrorname_np(errno);
}

void Echo(int fd) {
  char bytes[65536];
  size_t total = 0;
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) > 0) {
    total += static_cast<size_t>(n);
    if (send(fd, bytes, static_cast<size_t>(n), MSG_NOSIGNAL) != n) break;
  }
  Result("echo ends", n);
  Say("echoed %zu", total);
}

void EchoServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Echo(fd);
  close(fd);
  close(listener);
}

void RoundTrip(int fd, const char* text) {
  const size_t size = strlen(text);
  Result("send", send(fd, text, size, MSG_NOSIGNAL));
  char bytes[64] = "";
  Result("recv", recv(fd, bytes, size, MSG_WAITALL));
  Say("received %s", bytes);
}

Waiter::Waiter(const std::function<void()>& call)
    : thread_([this, call] {
        tid_ = gettid();
        call();
        done_ = true;
      }) {}

void Waiter::AwaitBlocked() const {
  while (tid_ == 0) sched_yield();
  const std::string path = "/proc/self/task/" + std::to_string(tid_) + "/stat";
  for (;;) {
    char text[512] = "";
    FILE* const file = fopen(path.c_str(), "r");
    const char* const name_end =
        file != nullptr && fgets(text, sizeof text, file) != nullptr ? strrchr(text, ')') : nullptr;
    if (file != nullptr) fclose(file);
    if (name_end == nullptr || name_end[2] == 'S') return;
    sched_yield();
  }
}

void Waiter::Disturb(int signal) {
  while (!done_) {
    if (tid_ != 0) tgkill(getpid(), tid_, signal);
    sched_yield();
  }
}

void Waiter::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace mptcptls::probe
