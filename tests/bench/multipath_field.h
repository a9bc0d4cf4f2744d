// Two hosts, two links and whoever carries bytes over them: where the multipath measurements are
// made, one transfer after the other.
#ifndef MPTCPTLS_TESTS_BENCH_MULTIPATH_FIELD_H_
#define MPTCPTLS_TESTS_BENCH_MULTIPATH_FIELD_H_

#include <array>
#include <cstdint>
#include <string>

#include "tests/bench/wire.h"
#include "tests/netns/lab.h"

namespace mptcptls::bench {

class Field {
 public:
  Field();

  const lab::Lab& lab() const { return lab_; }
  // The links from now on, with the dice of this seed.
  void Set(const std::array<Wire, 2>& wires, uint64_t seed);
  // Drops everything silently.
  void Kill(int link) { lab_.BlackholeOn(link); }
  // Waits until nothing of a transfer is left, on links that do no harm.
  void Settle();

 private:
  lab::Lab lab_;
};

// "10+100", for tables.
std::string Rates(const std::array<Wire, 2>& wires);
std::string RoundTrips(const std::array<Wire, 2>& wires);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_MULTIPATH_FIELD_H_
