// How long a program waits for what paths do: a link that dies in the middle of a transfer, and the
// second path of a new connection.
#ifndef MPTCPTLS_TESTS_BENCH_MULTIPATH_EVENTS_H_
#define MPTCPTLS_TESTS_BENCH_MULTIPATH_EVENTS_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/wire.h"

namespace mptcptls::bench {

struct EventOptions {
  std::vector<std::pair<double, double>> rtt_ms = {{10, 10}, {10, 100}, {30, 300}};
  int rounds = 3;
  uint64_t seed = 1;
};

// Seconds in which the receiver's program got nothing.
struct ResumeRow {
  std::array<Wire, 2> wires;
  int dead = 1;  // the link that drops everything, silently
  std::vector<double> kernel = {}, ours = {};
  std::vector<std::string> failures = {};

  // 1.5 times what a retransmission timeout is at least on the dead link (Linux: 200 ms beyond the
  // round trip time), and the way over the other one, whose queue is full: half its round trip time
  // and one more.
  double Limit() const;
};

// From the end of the TLS handshake, as the client sees it, to the first data on the second path.
struct JoinRow {
  std::array<Wire, 2> wires;
  std::vector<double> seconds = {};
  std::vector<std::string> failures = {};

  // 2.5 round trips of the second path, and one of the first, on which the server announces the
  // address that the second one leads to.
  double Limit() const;
};

struct EventResults {
  EventOptions options;
  std::vector<ResumeRow> resumes;
  std::vector<JoinRow> joins;
};

EventResults MeasureEvents(const EventOptions& options);
std::string ToTable(const EventResults& results);
std::string ToJson(const EventResults& results);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_MULTIPATH_EVENTS_H_
