// The benchmark still works; how fast anything is, is no test's business.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/netns/child.h"
#include "tests/netns/programs.h"

namespace mptcptls::bench {
namespace {

using testing::ContainsRegex;

std::string Driver() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mptcptls-bench";
}

TEST(BenchSmoke, ThroughputPrintsEveryRow) {
  const std::string file = testing::TempDir() + "/bench-" + std::to_string(getpid()) + ".json";
  const auto driver =
      lab::Child::Start({.argv = {Driver(), "throughput", "--size", "20M", "--runs", "1", "--wait",
                                  "0", "--only", "floor,tcp,mptcp", "--json", file}},
                        [] {});
  ASSERT_EQ(driver->Wait(std::chrono::seconds(50)), 0) << driver->err();
  for (const char* paths : {"1", "2"}) {
    for (const char* who : {"tcp", "mptcp", "floor"}) {
      EXPECT_THAT(driver->out(), ContainsRegex(std::string("\n  ") + paths + " +" + who +
                                               " +[0-9.]+ \\([0-9.]+ \\.\\. [0-9.]+\\)"));
    }
  }
  const auto json = nlohmann::json::parse(lab::ReadFile(file));
  std::filesystem::remove(file);
  ASSERT_EQ(json.at("rows").size(), 6u);
  for (const auto& row : json.at("rows")) {
    EXPECT_GT(row.at("gbit_per_second").at("median"), 0) << row;
    // How much of it a second path carries is the kernel's affair, but who has one path uses one.
    const double share = row.at("second_path_share").at("median");
    if (row.at("paths") == 1 || row.at("who") == "tcp") {
      EXPECT_LT(share, 0.01) << row;
    } else if (row.at("who") == "floor") {
      EXPECT_GT(share, 0.4) << row;
    }
  }
}

TEST(BenchSmoke, UnknownContenderIsNamed) {
  const auto driver =
      lab::Child::Start({.argv = {Driver(), "throughput", "--only", "teleport"}}, [] {});
  EXPECT_NE(driver->Wait(), 0);
  EXPECT_THAT(driver->err(), testing::HasSubstr("teleport"));
}

}  // namespace
}  // namespace mptcptls::bench
