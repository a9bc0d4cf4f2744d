// The part of the scenario language that speaks of the network while it runs: middleboxes, loss
// patterns, and what happens at a time. Each becomes something to be done to a World.
#ifndef MPTCPTLS_TESTS_SIM_SCENARIO_NETWORK_H_
#define MPTCPTLS_TESTS_SIM_SCENARIO_NETWORK_H_

#include <functional>

#include "tests/sim/scenario_words.h"
#include "tests/sim/world.h"

namespace mptcptls::sim {

using Action = std::function<void(World&)>;

// What follows the words `box`, `lose`, `use` and `at TIME`; `paths` bounds the numbers of paths.
Action ParseBox(Words* words, size_t paths);
Action ParseLoss(Words* words, size_t paths);
Action ParseUse(Words* words, size_t paths);
Action ParseEvent(Words* words, size_t paths);
// One property of a link: true when `key` is one, with its value taken from the words.
bool ParseLinkProperty(const std::string& key, Words* words, LinkConfig* link);
// The names of them all, for a complaint.
std::string LinkProperties();

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SCENARIO_NETWORK_H_
