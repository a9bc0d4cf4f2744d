// What a link between the hosts does to packets: one cell of the comparison with the kernel's TCP.
#ifndef MPTCPTLS_TESTS_BENCH_WIRE_H_
#define MPTCPTLS_TESTS_BENCH_WIRE_H_

#include <string>

namespace mptcptls::bench {

// The same in both directions.
struct Wire {
  double rtt_ms = 0;        // without queue and reordering; half of it each way
  double loss_percent = 0;  // of packets, each way
  double reorder_ms = 0;    // each packet waits up to this much longer, whatever comes behind it
  double rate_mbit = 0;     // of Ethernet frames without preamble and checksum

  // Bytes that wait for the rate: what the path holds, and 32 packets at least.
  double QueueBytes() const;
  // What a sender can make of it at best, in bits of a TCP connection's data per second: the rate
  // without headers, or what Reno would keep up at this loss (Mathis et al., 1997) where that is
  // less. A guide for the size of a transfer and no prediction.
  double LikelyMbit() const;
  std::string ToSettings() const;  // of the emulator
  std::string ToString() const;
};

// The part of a link's rate that is TCP's data, in full packets with timestamps.
inline constexpr double kGoodput = 1448.0 / 1514;

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_WIRE_H_
