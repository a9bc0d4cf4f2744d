// What a seed puts in the way of packets, as lines of the scenario language.
#ifndef MPTCPTLS_TESTS_SIM_RANDOM_MIDDLEBOX_H_
#define MPTCPTLS_TESTS_SIM_RANDOM_MIDDLEBOX_H_

#include <cstddef>
#include <string>

#include "tests/sim/rng.h"

namespace mptcptls::sim {

// Appends to `text`. True when a connection may have to end otherwise than cleanly.
bool RandomMiddleboxes(Rng& rng, size_t paths, std::string* text);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_RANDOM_MIDDLEBOX_H_
