// Every file of tests/sim/scenarios, over each address family that it names.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "tests/sim/scenario_text.h"

namespace mptcptls::sim {
namespace {

struct File {
  std::string path;
  Family family = Family::kV4;
};

void PrintTo(const File& file, std::ostream* out) { *out << file.path; }

std::vector<File> Files() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SCENARIO_DIRECTORY)) {
    if (entry.path().extension() == ".scenario") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  std::vector<File> files;
  for (const std::string& path : paths) {
    std::string error;
    const auto text = LoadScenario(path, &error);
    // One that cannot be read is a test too; it says why.
    if (!text) files.push_back({path});
    if (!text) continue;
    for (const Family family : text->families) files.push_back({path, family});
  }
  return files;
}

std::string NameOf(const testing::TestParamInfo<File>& test) {
  return std::filesystem::path(test.param.path).stem().string() +
         (test.param.family == Family::kV4 ? "_v4" : "_v6");
}

class ScenarioFile : public testing::TestWithParam<File> {};

TEST_P(ScenarioFile, Holds) {
  std::string error;
  auto text = LoadScenario(GetParam().path, &error);
  ASSERT_TRUE(text) << error;
  text->scenario.family = GetParam().family;
  World world(text->scenario, text->seed);
  if (std::getenv("SIM_TRACE") != nullptr) {
    world.simulator().trace().set_sink([](const std::string& line) { std::cout << line << "\n"; });
  }
  const std::vector<std::string> failures = world.Run();
  EXPECT_THAT(failures, testing::IsEmpty()) << Summary(world);
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioFile, testing::ValuesIn(Files()), NameOf);

}  // namespace
}  // namespace mptcptls::sim
