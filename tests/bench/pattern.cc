#include "tests/bench/pattern.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace mptcptls::bench {
namespace {

// A prime, so that bytes moved by any power of two or any packet's size are noticed.
constexpr uint64_t kPeriod = 251;
// One byte in so many is looked at: what is lost, repeated or swapped is never less than a packet.
constexpr size_t kStride = 1024;

uint8_t ByteAt(uint64_t offset) { return static_cast<uint8_t>(offset % kPeriod); }

void Check(const uint8_t* bytes, size_t size, uint64_t offset) {
  for (size_t i = 0; i < size; i += kStride) {
    if (bytes[i] != ByteAt(offset + i)) {
      throw std::runtime_error("byte " + std::to_string(offset + i) +
                               " of the stream is not what was sent: bytes were lost or moved");
    }
  }
}

// `left` says how many bytes are still to be sent, when so many were.
template <typename Left>
void SendWhile(int fd, const Left& left) {
  std::vector<uint8_t> pattern(kChunk + kPeriod);
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = ByteAt(i);
  uint64_t sent = 0;
  while (const uint64_t size = std::min<uint64_t>(kChunk, left(sent))) {
    const ssize_t n = write(fd, pattern.data() + sent % kPeriod, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw std::system_error(errno, std::generic_category(),
                              "write after " + std::to_string(sent) + " bytes");
    }
    sent += static_cast<uint64_t>(n);
  }
}

}  // namespace

void SendPattern(int fd, uint64_t bytes) {
  SendWhile(fd, [bytes](uint64_t sent) { return bytes - sent; });
}

void SendPatternFor(int fd, double seconds) {
  const Stopwatch stopwatch;
  SendWhile(fd, [&](uint64_t) { return stopwatch.Seconds() < seconds ? kChunk : 0; });
}

Transfer ReceivePattern(int fd, Order order, std::optional<double> seconds) {
  std::vector<uint8_t> chunk(kChunk);
  std::optional<Stopwatch> stopwatch;
  std::optional<Transfer> transfer;
  uint64_t received = 0;
  for (;;) {
    const ssize_t n = read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw std::system_error(errno, std::generic_category(),
                              "read after " + std::to_string(received) + " bytes");
    }
    if (!stopwatch) stopwatch.emplace();
    stopwatch->Lap();
    if (!transfer && (n == 0 || (seconds && stopwatch->Seconds() >= *seconds))) {
      transfer = stopwatch->Stop(received);
    }
    if (n == 0) return *transfer;
    if (order == Order::kChecked) Check(chunk.data(), static_cast<size_t>(n), received);
    received += static_cast<uint64_t>(n);
  }
}

}  // namespace mptcptls::bench
