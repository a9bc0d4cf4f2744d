// One scenario out of a seed: topology, links, programs, policies, middleboxes and failures.
#ifndef MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_
#define MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_

#include <cstdint>

#include "tests/sim/world.h"

namespace mptcptls::sim {

// What it expects is as strict as what it drew allows: without aborts and lost addresses every byte
// must arrive and every end must be clean.
Scenario RandomScenario(uint64_t seed);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_
