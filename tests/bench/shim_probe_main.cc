// bench_shim: the plain programs of `bench.sh shim`: a server and clients of a byte each way.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace mptcptls::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void ThrowErrno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in ToSocketAddress(const std::string& text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1)
    throw std::runtime_error(text + " is no IPv4 address");
  return address;
}

int Connected(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) ThrowErrno("socket");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    ThrowErrno("connect");
  return fd;
}

void Serve(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in address = ToSocketAddress("0.0.0.0", port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 128) != 0)
    ThrowErrno("listen on port " + std::to_string(port));
  printf("listening\n");
  fflush(stdout);
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) ThrowErrno("accept");
    // An idle client says nothing until it goes.
    std::thread([fd] {
      char byte = 0;
      while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1) {
      }
      close(fd);
    }).detach();
  }
}

struct Times {
  std::vector<double> connect_us, first_byte_us;
};

Times ConnectOften(const sockaddr_in& address, int count) {
  Times times;
  const auto since = [](Clock::time_point began) {
    return std::chrono::duration<double, std::micro>(Clock::now() - began).count();
  };
  for (int i = 0; i < count; ++i) {
    const auto began = Clock::now();
    const int fd = Connected(address);
    times.connect_us.push_back(since(began));
    char byte = 'x';
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) ThrowErrno("a byte each way");
    times.first_byte_us.push_back(since(began));
    close(fd);
  }
  return times;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

void Connect(const sockaddr_in& address, int count, int at_a_time) {
  ConnectOften(address, 1);  // starts the engine
  std::vector<Times> times(static_cast<size_t>(at_a_time));
  std::vector<std::thread> threads;
  const auto began = Clock::now();
  for (Times& mine : times)
    threads.emplace_back([&] { mine = ConnectOften(address, count / at_a_time); });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - began;
  Times all;
  for (const Times& one : times) {
    all.connect_us.insert(all.connect_us.end(), one.connect_us.begin(), one.connect_us.end());
    all.first_byte_us.insert(all.first_byte_us.end(), one.first_byte_us.begin(),
                             one.first_byte_us.end());
  }
  printf("{\"connect_us\": %.1f, \"first_byte_us\": %.1f, \"per_second\": %.1f}\n",
         Median(all.connect_us), Median(all.first_byte_us),
         static_cast<double>(all.connect_us.size()) / took.count());
}

void Idle(const std::string& address, uint16_t port) {
  if (!address.empty()) Connected(ToSocketAddress(address, port));
  printf("ready\n");
  fflush(stdout);
  for (;;) pause();
}

}  // namespace
}  // namespace mptcptls::bench

int main(int argc, char** argv) {
  using namespace mptcptls::bench;
  std::string address;
  uint16_t port = 0;
  int count = 0, at_a_time = 1;
  CLI::App app("A server and clients of a byte each way.", "bench_shim");
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "answer each byte by itself");
  serve->add_option("PORT", port)->required();
  CLI::App* connect =
      app.add_subcommand("connect", "connect COUNT times, AT_A_TIME at once; print the medians");
  connect->add_option("ADDRESS", address)->required();
  connect->add_option("PORT", port)->required();
  connect->add_option("COUNT", count)->required()->check(CLI::PositiveNumber);
  connect->add_option("AT_A_TIME", at_a_time)->required()->check(CLI::Range(1, 64));
  CLI::App* idle = app.add_subcommand("idle", "wait, with a connection where one is named");
  idle->add_option("ADDRESS", address);
  idle->add_option("PORT", port);
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  try {
    if (serve->parsed()) Serve(port);
    if (connect->parsed()) Connect(ToSocketAddress(address, port), count, at_a_time);
    if (idle->parsed()) Idle(address, port);
    return 0;
  } catch (const std::exception& error) {
    fprintf(stderr, "bench_shim: %s\n", error.what());
    return 1;
  }
}
