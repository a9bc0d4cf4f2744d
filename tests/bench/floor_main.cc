// bench_floor: what any design like ours costs at least on this machine.
//
//   program -> unix pair -> relay -> TUN -> veth -> TUN -> relay -> unix pair -> program
//
// 60 KB segments, an acknowledgement every four, a fixed window, several paths in turn; nothing is
// sent again, kept for that, ordered or encrypted. Program and relay are processes of their own, as
// with the engine.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/bench/floor_wire.h"
#include "tests/bench/pattern.h"

namespace mptcptls::bench {
namespace {

constexpr size_t kSegmentPayload = 60000;
constexpr uint32_t kSegmentsPerAck = 4;
// Segments on their way, 1 MB: far below the 1,000 packets that a device's queue holds, so that
// none is ever lost. More was no faster.
constexpr uint32_t kWindow = 16;
// At its default size a unix pair is slower (FACTS.md); more than this was no faster.
constexpr int kUnixBuffer = 512 << 10;
constexpr uint16_t kSourcePort = 61000;
constexpr std::chrono::seconds kPatience{10};

[[noreturn]] void ThrowErrno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A program in a process of its own at the other end of a unix pair.
class Program {
 public:
  template <typename Body>
  explicit Program(const Body& body) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) ThrowErrno("socketpair");
    for (const int fd : pair) {
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kUnixBuffer, sizeof kUnixBuffer);
    }
    pid_ = fork();
    if (pid_ < 0) ThrowErrno("fork");
    if (pid_ == 0) {
      close(pair[0]);
      RunToExit(body, pair[1]);
    }
    close(pair[1]);
    fd_ = pair[0];
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Closes its stream, which ends it.
  ~Program() {
    if (fd_ >= 0) Finish();
  }

  int fd() const { return fd_; }
  bool Finish() {
    close(fd_);
    fd_ = -1;
    int status = 1;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
  }

 private:
  template <typename Body>
  [[noreturn]] static void RunToExit(const Body& body, int fd) {
    try {
      body(fd);
    } catch (const std::exception& error) {
      fprintf(stderr, "bench_floor's program: %s\n", error.what());
      _exit(1);
    }
    fflush(stdout);
    _exit(0);
  }

  pid_t pid_ = -1;
  int fd_ = -1;
};

// Fills `buffer` unless the program ended; what a segment carries.
size_t ReadSegment(int fd, std::vector<uint8_t>* buffer) {
  ssize_t n;
  do {
    n = recv(fd, buffer->data(), buffer->size(), MSG_WAITALL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) ThrowErrno("recv from the program");
  return static_cast<size_t>(n);
}

void WriteAll(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) ThrowErrno("send to the program");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// Takes in acknowledgements until no more than `most` segments are on their way.
void AwaitAcks(FloorWire* wire, uint32_t sent, uint32_t most, uint32_t* acknowledged) {
  while (sent - *acknowledged > most) {
    const std::optional<Segment> ack = wire->Receive(kPatience);
    if (!ack) {
      throw std::runtime_error("after " + std::to_string(sent) +
                               " segments no acknowledgement came: the receiver is gone, or a "
                               "segment was lost, which an unshaped lab never does");
    }
    *acknowledged = std::max(*acknowledged, ack->seq.value);
  }
}

void Send(uint64_t bytes, const std::vector<FourTuple>& paths) {
  FloorWire wire(kSourcePort, 0);
  Program program([bytes](int fd) { SendPattern(fd, bytes); });
  std::vector<uint8_t> buffer(kSegmentPayload);
  uint32_t sent = 0;
  uint32_t acknowledged = 0;
  for (;;) {
    const size_t size = ReadSegment(program.fd(), &buffer);
    if (size == 0) break;
    AwaitAcks(&wire, sent, kWindow - 1, &acknowledged);
    wire.Send(paths[sent % paths.size()], sent, false, {buffer.data(), size});
    ++sent;
  }
  // The end says how many there were, as it may overtake those on another path.
  wire.Send(paths[0], sent, true, {});
  AwaitAcks(&wire, sent, 0, &acknowledged);
  if (!program.Finish()) throw std::runtime_error("the sending program failed");
}

void Receive(uint16_t port) {
  FloorWire wire(0, port);
  // Segments of several paths come in any order: only their number is checked.
  Program program(
      [](int fd) { printf("%s", ReceivePattern(fd, Order::kUnchecked).ToLine().c_str()); });
  fprintf(stderr, "listening on port %d\n", port);
  uint32_t received = 0;
  std::optional<uint32_t> total;
  while (received != total) {
    const std::optional<Segment> segment = wire.Receive(kPatience);
    if (!segment)
      throw std::runtime_error(
          "no segment came for 10 seconds: the sender is gone or failed, see its message");
    if (segment->fin) {
      total = segment->seq.value;
    } else {
      WriteAll(program.fd(), segment->payload);
      ++received;
    }
    if (received % kSegmentsPerAck == 0 || received == total) {
      wire.Send(segment->tuple, received, false, {});
    }
  }
  if (!program.Finish()) throw std::runtime_error("the receiving program failed");
}

Endpoint ToEndpoint(const std::string& text, uint16_t port) {
  const std::optional<IpAddress> address = IpAddress::Parse(text);
  if (!address) throw std::runtime_error(text + " is no address: give a numeric one");
  return {*address, port};
}

std::vector<FourTuple> ToPaths(const std::vector<std::string>& texts, uint16_t port) {
  std::vector<FourTuple> paths;
  for (const std::string& text : texts) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos) throw std::runtime_error(text + ": write LOCAL=REMOTE");
    paths.push_back(
        {ToEndpoint(text.substr(0, sign), kSourcePort), ToEndpoint(text.substr(sign + 1), port)});
  }
  return paths;
}

}  // namespace
}  // namespace mptcptls::bench

int main(int argc, char** argv) {
  using namespace mptcptls::bench;
  uint16_t port = 0;
  uint64_t bytes = 0;
  std::vector<std::string> paths;
  CLI::App app("Carries bytes the engine's way with no protocol: the floor of the design.",
               "bench_floor");
  app.require_subcommand(1);
  CLI::App* recv = app.add_subcommand("recv", "receive; print number and seconds on one line");
  recv->add_option("PORT", port)->required();
  CLI::App* send = app.add_subcommand("send", "send over these paths in turn");
  send->add_option("PORT", port)->required();
  send->add_option("BYTES", bytes)->required();
  send->add_option("PATHS", paths, "LOCAL=REMOTE, numeric IPv4 addresses")->required();
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  try {
    recv->parsed() ? Receive(port) : Send(bytes, ToPaths(paths, port));
    return 0;
  } catch (const std::exception& error) {
    fprintf(stderr, "bench_floor: %s\n", error.what());
    return 1;
  }
}
