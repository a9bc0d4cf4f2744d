#include "tests/bench/pattern.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
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

}  // namespace

void SendPattern(int fd, uint64_t bytes) {
  std::vector<uint8_t> pattern(kChunk + kPeriod);
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = ByteAt(i);
  for (uint64_t sent = 0; sent < bytes;) {
    const size_t size = std::min<uint64_t>(kChunk, bytes - sent);
    const ssize_t n = write(fd, pattern.data() + sent % kPeriod, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw std::system_error(errno, std::generic_category(),
                              "write after " + std::to_string(sent) + " bytes");
    }
    sent += static_cast<uint64_t>(n);
  }
}

void SendPatternUntilCut(int fd) {
  try {
    SendPattern(fd, std::numeric_limits<uint64_t>::max());
  } catch (const std::system_error& error) {
    if (error.code().value() != EPIPE && error.code().value() != ECONNRESET) throw;
  }
}

Transfer ReceivePattern(int fd, Order order, std::optional<double> seconds) {
  std::vector<uint8_t> chunk(kChunk);
  std::optional<Stopwatch> stopwatch;
  uint64_t received = 0;
  for (;;) {
    const ssize_t n = read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw std::system_error(errno, std::generic_category(),
                              "read after " + std::to_string(received) + " bytes");
    }
    if (!stopwatch) stopwatch.emplace();
    if (n == 0) return stopwatch->Stop(received);
    if (order == Order::kChecked) Check(chunk.data(), static_cast<size_t>(n), received);
    received += static_cast<uint64_t>(n);
    if (seconds && stopwatch->Seconds() >= *seconds) return stopwatch->Stop(received);
  }
}

}  // namespace mptcptls::bench
