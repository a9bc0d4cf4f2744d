// The scenario language (tests/sim/scenarios/README.md): one statement a line, from text to the
// Scenario that a World runs.
#ifndef MPTCPTLS_TESTS_SIM_SCENARIO_TEXT_H_
#define MPTCPTLS_TESTS_SIM_SCENARIO_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world.h"

namespace mptcptls::sim {

struct ScenarioText {
  Scenario scenario;
  std::vector<Family> families = {Family::kV4, Family::kV6};
  uint64_t seed = 1;  // of the simulated network
};

// nullopt when a line cannot be understood: `error` is then "NAME:LINE: cause; remedy".
std::optional<ScenarioText> ParseScenario(const std::string& name, std::string_view text,
                                          std::string* error);
// The same of a file; the scenario is named after it.
std::optional<ScenarioText> LoadScenario(const std::string& path, std::string* error);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SCENARIO_TEXT_H_
