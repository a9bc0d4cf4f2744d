// The bytes of a benchmark: known by their position, cheap to make and to check.
#ifndef MPTCPTLS_TESTS_BENCH_PATTERN_H_
#define MPTCPTLS_TESTS_BENCH_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/bench/transfer.h"

namespace mptcptls::bench {

// What programs write and read at a time.
inline constexpr size_t kChunk = 64 << 10;

enum class Order {
  kChecked,    // bytes must come at their place
  kUnchecked,  // only their number counts
};

// Writes `bytes` bytes to a socket. All throw std::runtime_error.
void SendPattern(int fd, uint64_t bytes);
// Writes for so long; what was written is still on its way then.
void SendPatternFor(int fd, double seconds);
// Reads to the end. With `seconds` the transfer is what came within so long after the first byte.
Transfer ReceivePattern(int fd, Order order, std::optional<double> seconds = std::nullopt);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_PATTERN_H_
