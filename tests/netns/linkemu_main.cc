// mptcptls-linkemu: the emulator of linkemu.h between two interfaces of this namespace.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "tests/netns/linkemu.h"

namespace mptcptls::lab {
namespace {

// All frames of one interface, in and out.
int OpenPort(const std::string& interface) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  // The host's end of the cable has an Ethernet address of its own.
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = address.sll_ifindex;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  const int buffer = 8 << 20;
  const int on = 1;
  if (fd < 0 || address.sll_ifindex == 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) != 0 ||
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0) {
    throw std::runtime_error("cannot tap interface " + interface + ": " + strerror(errno) +
                             " (root, and an interface of this network namespace, are needed)");
  }
  return fd;
}

int OpenControl(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long: " + path);
  memcpy(address.sun_path, path.c_str(), path.size());
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 8) != 0) {
    throw std::runtime_error("cannot listen at " + path + ": " + strerror(errno));
  }
  return fd;
}

class Emulator {
 public:
  Emulator(const std::string& left, const std::string& right, uint64_t seed,
           const LinkemuSettings& settings)
      : settings_(settings),
        ports_{OpenPort(left), OpenPort(right)},
        directions_{LinkemuDirection(seed), LinkemuDirection(seed + 1)} {}

  [[noreturn]] void Run(int control) {
    for (;;) {
      // While a control connection is open its end is awaited too, but one command is all it sends.
      pollfd ready[3] = {{ports_[0], POLLIN, 0}, {ports_[1], POLLIN, 0}, {control, POLLIN, 0}};
      const timespec wait = UntilNextDeparture();
      if (ppoll(ready, 3, &wait, nullptr) < 0 && errno != EINTR) {
        throw std::runtime_error(std::string("ppoll: ") + strerror(errno));
      }
      for (int side = 0; side < 2; ++side) {
        if (ready[side].revents != 0) Receive(side);
      }
      for (int side = 0; side < 2; ++side) Transmit(side);
      if (ready[2].revents != 0) ServeControl(control);
    }
  }

 private:
  timespec UntilNextDeparture() const {
    EmulatorTime next = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (const LinkemuDirection& direction : directions_) {
      if (const auto departure = direction.NextDeparture()) next = std::min(next, *departure);
    }
    const int64_t ns = std::max<int64_t>(0, (next - std::chrono::steady_clock::now()).count());
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  }

  void Receive(int side) {
    // Bounded, so that what is due on the other side is not kept waiting.
    for (int i = 0; i < 64; ++i) {
      const ssize_t n = recv(ports_[side], buffer_, sizeof buffer_, 0);
      if (n <= 0) return;
      directions_[side].Enqueue(settings_, std::vector<uint8_t>(buffer_, buffer_ + n),
                                std::chrono::steady_clock::now());
    }
  }

  // What came in on `side` leaves on the other; a port that is down loses it, as a cable would.
  void Transmit(int side) {
    const EmulatorTime now = std::chrono::steady_clock::now();
    for (std::vector<uint8_t> frame; !(frame = directions_[side].Dequeue(now)).empty();) {
      if (send(ports_[1 - side], frame.data(), frame.size(), 0) < 0) ++unsent_;
    }
  }

  void ServeControl(int control) {
    const int fd = accept4(control, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    // A client that connects and says nothing holds the link up for a tenth of a second at most.
    const timeval patience{0, 100'000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char text[512];
    const ssize_t n = recv(fd, text, sizeof text, 0);
    if (n > 0) {
      const std::string answer = Answer(std::string(text, static_cast<size_t>(n)));
      send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    close(fd);
  }

  std::string Answer(const std::string& command) {
    if (command == "stats") {
      return "left_to_right " + directions_[0].stats().ToString() + "\nright_to_left " +
             directions_[1].stats().ToString() + "\nunsent=" + std::to_string(unsent_) + "\n";
    }
    if (command.starts_with("restart ")) return Restart(command.substr(8));
    std::string error;
    return settings_.Parse(command, &error) ? "ok" : "error: " + error;
  }

  std::string Restart(const std::string& digits) {
    uint64_t seed = 0;
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, seed);
    if (error != std::errc() || rest != end) return "error: not a seed: " + digits;
    directions_[0] = LinkemuDirection(seed);
    directions_[1] = LinkemuDirection(seed + 1);
    unsent_ = 0;
    return "ok";
  }

  LinkemuSettings settings_;
  int ports_[2];
  LinkemuDirection directions_[2];
  uint64_t unsent_ = 0;
  uint8_t buffer_[70000];
};

}  // namespace
}  // namespace mptcptls::lab

namespace {

// A link is not slower because the machine has other things to do. Where this is not allowed, it
// is.
void RunBeforeOthers() {
  const sched_param least{.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &least);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Forwards frames between two interfaces with delay, jitter, loss, a rate and a queue.");
  std::string left, right, control, set;
  uint64_t seed = 1;
  app.add_option("--left", left, "first interface")->required();
  app.add_option("--right", right, "second interface")->required();
  app.add_option(
         "--control", control,
         "Unix seqpacket socket to make; takes name=value settings, \"stats\" or \"restart SEED\"")
      ->required();
  app.add_option("--seed", seed, "of loss and jitter");
  app.add_option("--set", set,
                 "settings for both directions, e.g. \"delay_ms=20 jitter_ms=5 reorder=1 loss=0.01 "
                 "rate_mbit=50 queue_kb=256 blackhole=0\"");
  CLI11_PARSE(app, argc, argv);
  try {
    mptcptls::lab::LinkemuSettings settings;
    std::string error;
    if (!settings.Parse(set, &error)) throw std::runtime_error(error);
    RunBeforeOthers();
    mptcptls::lab::Emulator emulator(left, right, seed, settings);
    emulator.Run(mptcptls::lab::OpenControl(control));
  } catch (const std::exception& error) {
    fprintf(stderr, "mptcptls-linkemu: %s\n", error.what());
    return 1;
  }
}
