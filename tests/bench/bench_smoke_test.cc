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

TEST(BenchSmoke, TcpPrintsEveryRowAndASummary) {
  const std::string file = testing::TempDir() + "/bench-" + std::to_string(getpid()) + ".json";
  const auto driver = lab::Child::Start(
      {.argv = {Driver(), "tcp", "--delay", "2", "--loss", "1", "--reorder", "0", "--rate", "10",
                "--seconds", "1", "--rounds", "1", "--settle", "1", "--json", file}},
      [] {});
  ASSERT_EQ(driver->Wait(std::chrono::seconds(50)), 0) << driver->err();
  for (const char* direction : {"send", "receive"}) {
    for (const char* tool : {"iperf3", "curl"}) {
      EXPECT_THAT(driver->out(), ContainsRegex(std::string("\n +2 +1 +0 +10  ") + direction + " +" +
                                               tool + " +[0-9.]+ +[0-9.]+ +[0-9]+\\.[0-9]+\n"));
    }
  }
  EXPECT_THAT(driver->out(), ContainsRegex("median ratio +[0-9.]+  of 4 cells"));
  EXPECT_THAT(driver->err(), ContainsRegex("2 of 2 .* 0 s left"));
  const auto json = nlohmann::json::parse(lab::ReadFile(file));
  std::filesystem::remove(file);
  ASSERT_EQ(json.at("rows").size(), 4u);
  for (const auto& row : json.at("rows")) {
    ASSERT_TRUE(row.at("ours_mbit").at(0).is_number()) << row;
    EXPECT_GT(row.at("ours_mbit").at(0), 0) << row;
    // The emulator holds to its rate, and the queue is what can be above it in a second.
    EXPECT_LT(row.at("kernel_mbit").at(0), 11) << row;
  }
}

TEST(BenchSmoke, FairnessPrintsEveryRow) {
  const auto driver = lab::Child::Start(
      {.argv = {Driver(), "fairness", "--delay", "2", "--rate", "10", "--seconds", "1"}}, [] {});
  ASSERT_EQ(driver->Wait(std::chrono::seconds(50)), 0) << driver->err();
  for (const char* who : {"ours", "kernel"}) {
    EXPECT_THAT(driver->out(), ContainsRegex(std::string("\n +2 +10  ") + who +
                                             " +[0-9.]+ +[0-9.]+ +[0-9]\\.[0-9]+"));
  }
}

TEST(BenchSmoke, MultipathPrintsEveryRow) {
  const std::string file = testing::TempDir() + "/bench-" + std::to_string(getpid()) + ".json";
  const auto driver = lab::Child::Start(
      {.argv = {Driver(), "multipath", "--rate", "10+5", "--delay", "2+4", "--loss", "0",
                "--seconds", "1", "--rounds", "1", "--json", file}},
      [] {});
  ASSERT_EQ(driver->Wait(std::chrono::seconds(50)), 0) << driver->err();
  EXPECT_THAT(driver->out(), ContainsRegex("\n +10\\+5 +2\\+4 +0 +[0-9.]+ +[0-9.]+ +[0-9.]+"));
  const auto json = nlohmann::json::parse(lab::ReadFile(file));
  std::filesystem::remove(file);
  const auto& row = json.at("rows").at(0);
  EXPECT_EQ(row.at("failures").size(), 0u) << row;
  // The emulator holds to its rates, but for what its queue takes.
  EXPECT_LT(row.at("first_alone_mbit").at(0), 11) << row;
  EXPECT_LT(row.at("second_alone_mbit").at(0), 6) << row;
  EXPECT_GT(row.at("ours_mbit").at(0), 0) << row;
}

TEST(BenchSmoke, ShimPrintsEveryRow) {
  const std::string file = testing::TempDir() + "/bench-" + std::to_string(getpid()) + ".json";
  const auto driver =
      lab::Child::Start({.argv = {Driver(), "shim", "--rounds", "1", "--starts", "5",
                                  "--connections", "3", "--rate", "16", "--json", file}},
                        [] {});
  ASSERT_EQ(driver->Wait(std::chrono::seconds(50)), 0) << driver->err();
  for (const char* row : {"start of true", "connect\\(\\) to first byte, 1 ms path",
                          "connections, eight at a time", "memory, one connection"})
    EXPECT_THAT(driver->out(), ContainsRegex(std::string(row) + " +[0-9]+ +[0-9]+ +[+-][0-9]+"));
  const auto json = nlohmann::json::parse(lab::ReadFile(file));
  std::filesystem::remove(file);
  ASSERT_EQ(json.at("rows").size(), 7u);
  for (const auto& row : json.at("rows")) {
    for (const char* who : {"kernel", "ours"}) EXPECT_GT(row.at(who).at(0), 0) << row;
    // The emulator delays each way.
    if (row.at("what") == "connect(), 1 ms path") {
      EXPECT_GE(row.at("ours").at(0), 1000) << row;
    }
  }
}

TEST(BenchSmoke, BadArgumentsAreNamed) {
  const std::vector<std::vector<std::string>> bad = {
      {"throughput", "--only", "teleport"}, {"tcp", "--tool", "teleport"},
      {"tcp", "--direction", "teleport"},   {"tcp", "--loss", "teleport"},
      {"tcp", "--rounds", "teleport"},      {"fairness", "--rate", "teleport"},
      {"multipath", "--rate", "teleport"},  {"multipath", "--delay", "10+teleport"},
      {"shim", "--starts", "teleport"},     {"teleport"},
  };
  for (const std::vector<std::string>& arguments : bad) {
    lab::Command command{.argv = {Driver()}};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    const auto driver = lab::Child::Start(command, [] {});
    EXPECT_NE(driver->Wait(), 0) << arguments.front();
    EXPECT_THAT(driver->err(), testing::HasSubstr("teleport"));
  }
}

}  // namespace
}  // namespace mptcptls::bench
