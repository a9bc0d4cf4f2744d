// One transfer as its receiver measured it, and the line that tells the driver.
#ifndef MPTCPTLS_TESTS_BENCH_TRANSFER_H_
#define MPTCPTLS_TESTS_BENCH_TRANSFER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/bench/processor_time.h"

namespace mptcptls::bench {

struct Transfer {
  uint64_t bytes = 0;
  double seconds = 0;  // from the first byte to the end
  // The longest time without a byte, but for the first two seconds: a slow start has pauses.
  double pause_seconds = 0;
  ProcessorTime processors;

  double GbitPerSecond() const { return static_cast<double>(bytes) * 8 / 1e9 / seconds; }
  double ProcessorSecondsPerGb() const {
    return processors.busy / (static_cast<double>(bytes) / 1e9);
  }

  std::string ToLine() const;
  static std::optional<Transfer> FromLine(const std::string& line);
};

// Runs from construction, which belongs where the first byte has come: waiting for a connection and
// the start of programs are nobody's throughput.
class Stopwatch {
 public:
  Stopwatch() : start_(std::chrono::steady_clock::now()), processors_(ReadProcessorTime()) {}
  double Seconds() const;
  // A byte has come.
  void Lap();
  Transfer Stop(uint64_t bytes) const;

 private:
  double last_lap_ = 0, longest_pause_ = 0;
  std::chrono::steady_clock::time_point start_;
  ProcessorTime processors_;
};

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_TRANSFER_H_
