// bench_stream: a plain sender and receiver over TCP, as a program is that knows nothing of
// Multipath TCP (but for a flag that asks the kernel's own for it).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
// After <netinet/in.h>, with which it would else collide.
#include <linux/mptcp.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tests/bench/pattern.h"

namespace mptcptls::bench {
namespace {

struct Options {
  bool mptcp = false;
  std::string congestion = "";  // empty: the system's
  std::string address = "";
  uint16_t port = 0;
  uint64_t bytes = 0;
  std::optional<double> seconds;  // instead of `bytes`
};

[[noreturn]] void ThrowErrno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Of either family, with IPv4 mapped.
sockaddr_in6 ToSocketAddress(const std::string& text, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (inet_pton(AF_INET6, text.c_str(), &address.sin6_addr) != 1 &&
      inet_pton(AF_INET6, ("::ffff:" + text).c_str(), &address.sin6_addr) != 1) {
    throw std::runtime_error(text + " is no IPv4 or IPv6 address: give a numeric one");
  }
  return address;
}

int OpenSocket(const Options& options) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, options.mptcp ? IPPROTO_MPTCP : 0);
  if (fd < 0 && options.mptcp) {
    ThrowErrno("no MPTCP socket (kernel with CONFIG_MPTCP and net.mptcp.enabled=1 needed)");
  }
  if (fd < 0) ThrowErrno("socket");
  const std::string& name = options.congestion;
  if (!name.empty() && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                                  static_cast<socklen_t>(name.size())) != 0) {
    ThrowErrno("congestion control " + name +
               " refused (load its module, be root, or list it in "
               "net.ipv4.tcp_allowed_congestion_control)");
  }
  return fd;
}

// A benchmark of MPTCP that measured TCP would be worse than none.
void RefuseFallback(int fd) {
  mptcp_info info{};
  socklen_t size = sizeof info;
  // After a fallback the option itself is refused.
  if (getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &size) != 0 ||
      (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) != 0) {
    throw std::runtime_error(
        "the kernel fell back from MPTCP to TCP: set net.mptcp.enabled=1 on both hosts, and use a "
        "path without a middlebox that strips it");
  }
}

void Receive(const Options& options) {
  const int listener = OpenSocket(options);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in6 address = ToSocketAddress("::", options.port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ThrowErrno("bind to port " + std::to_string(options.port));
  }
  if (listen(listener, 1) != 0) ThrowErrno("listen");
  fprintf(stderr, "listening on port %d\n", options.port);
  const int fd = accept(listener, nullptr, nullptr);
  if (fd < 0) ThrowErrno("accept");
  const Transfer transfer = ReceivePattern(fd, Order::kChecked, options.seconds);
  if (options.mptcp) RefuseFallback(fd);
  close(fd);
  printf("%s", transfer.ToLine().c_str());
}

void Send(const Options& options) {
  const int fd = OpenSocket(options);
  const sockaddr_in6 address = ToSocketAddress(options.address, options.port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ThrowErrno("connect to " + options.address + " port " + std::to_string(options.port));
  }
  // A second more, as the receiver's clock starts later.
  options.seconds ? SendPatternFor(fd, *options.seconds + 1) : SendPattern(fd, options.bytes);
  if (shutdown(fd, SHUT_WR) != 0) ThrowErrno("shutdown");
  // The receiver closes when it has everything.
  char end;
  if (read(fd, &end, 1) != 0) ThrowErrno("waiting for the receiver's end");
  close(fd);
}

}  // namespace
}  // namespace mptcptls::bench

int main(int argc, char** argv) {
  using namespace mptcptls::bench;
  Options options;
  CLI::App app("A plain sender or receiver of many bytes over TCP.", "bench_stream");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--mptcp", options.mptcp, "IPPROTO_MPTCP: the kernel's Multipath TCP");
  app.add_option("--congestion", options.congestion, "congestion control; default: the system's");
  app.add_option("--seconds", options.seconds,
                 "send for so long, and measure what came in it after the first byte");
  CLI::App* recv = app.add_subcommand(
      "recv", "take one connection, check its bytes, print number and seconds on one line");
  recv->add_option("PORT", options.port)->required();
  CLI::App* send = app.add_subcommand("send", "connect and send");
  send->add_option("ADDRESS", options.address)->required();
  send->add_option("PORT", options.port)->required();
  send->add_option("BYTES", options.bytes, "how many; or --seconds");
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  try {
    recv->parsed() ? Receive(options) : Send(options);
    return 0;
  } catch (const std::exception& error) {
    fprintf(stderr, "bench_stream: %s\n", error.what());
    return 1;
  }
}
