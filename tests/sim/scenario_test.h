// How a catalogue of scenarios becomes tests: each runs over IPv4 and IPv6 with a fixed seed, and a
// failure prints what was wrong and a summary of the run.
#ifndef MPTCPTLS_TESTS_SIM_SCENARIO_TEST_H_
#define MPTCPTLS_TESTS_SIM_SCENARIO_TEST_H_

#include <gmock/gmock.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/sim/world.h"

namespace mptcptls::sim {

using ScenarioParam = std::tuple<Scenario, Family>;

inline void RunScenario(Scenario scenario, Family family) {
  scenario.family = family;
  World world(scenario, 1);
  // For whoever looks into a failure: SIM_TRACE=1 prints every packet.
  if (std::getenv("SIM_TRACE") != nullptr) {
    world.simulator().trace().set_sink([](const std::string& line) { std::cout << line << "\n"; });
  }
  const std::vector<std::string> failures = world.Run();
  EXPECT_THAT(failures, testing::IsEmpty()) << Summary(world);
}

// A failure of a scenario's check, unless `right`.
inline void Wants(std::vector<std::string>* failures, bool right, const std::string& what) {
  if (!right) failures->push_back(what);
}

inline std::string ScenarioName(const testing::TestParamInfo<ScenarioParam>& info) {
  return std::get<0>(info.param).name + (std::get<1>(info.param) == Family::kV4 ? "_v4" : "_v6");
}

// One test per scenario of `catalogue()` and family, named Suite/scenario_v4 ...
// NOLINTBEGIN(bugprone-macro-parentheses): a class name cannot stand in parentheses
#define SCENARIO_SUITE(Suite, catalogue)                                                           \
  class Suite : public testing::TestWithParam<ScenarioParam> {};                                   \
  TEST_P(Suite, Holds) { RunScenario(std::get<0>(GetParam()), std::get<1>(GetParam())); }          \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      Catalogue, Suite,                                                                            \
      testing::Combine(testing::ValuesIn(catalogue()), testing::Values(Family::kV4, Family::kV6)), \
      ScenarioName)
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SCENARIO_TEST_H_
