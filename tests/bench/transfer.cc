#include "tests/bench/transfer.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

namespace mptcptls::bench {
namespace {

constexpr double kSettled = 2;

}  // namespace

std::string Transfer::ToLine() const {
  std::array<char, 200> line;
  snprintf(line.data(), line.size(),
           "bytes=%" PRIu64
           " seconds=%.6f pause_seconds=%.6f processor_seconds=%.2f stolen_seconds=%.2f\n",
           bytes, seconds, pause_seconds, processors.busy, processors.stolen);
  return line.data();
}

std::optional<Transfer> Transfer::FromLine(const std::string& line) {
  Transfer transfer;
  const int fields = sscanf(
      line.c_str(),  // NOLINT(bugprone-unchecked-string-to-number-conversion)
      "bytes=%" SCNu64 " seconds=%lf pause_seconds=%lf processor_seconds=%lf stolen_seconds=%lf",
      &transfer.bytes, &transfer.seconds, &transfer.pause_seconds, &transfer.processors.busy,
      &transfer.processors.stolen);
  if (fields != 5) return std::nullopt;
  return transfer;
}

double Stopwatch::Seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Stopwatch::Lap() {
  const double now = Seconds();
  if (last_lap_ > kSettled) longest_pause_ = std::max(longest_pause_, now - last_lap_);
  last_lap_ = now;
}

Transfer Stopwatch::Stop(uint64_t bytes) const {
  return {.bytes = bytes,
          // A handful of bytes may take no time at all, by the clock.
          .seconds = std::max(Seconds(), 1e-6),
          .pause_seconds = longest_pause_,
          .processors = ReadProcessorTime() - processors_};
}

}  // namespace mptcptls::bench
