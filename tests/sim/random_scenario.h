// A scenario drawn from a seed, in the scenario language: topology, links, policies, programs,
// middleboxes and failures. The same seed gives the same text on every machine, and the text alone
// (`sim_random --seed N --print`) runs the same packets.
#ifndef MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_
#define MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_

#include <cstdint>
#include <string>

#include "tests/sim/scenario_text.h"

namespace mptcptls::sim {

std::string RandomScenarioText(uint64_t seed);
ScenarioText RandomScenario(uint64_t seed);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_RANDOM_SCENARIO_H_
