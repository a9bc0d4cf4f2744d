// The same program with and without the product: its transcripts are the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

using Transcript = std::pair<std::string, std::string>;  // the server's, the client's

std::string Probe() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "socket_probe";
}

// What both ends say, errors of the programs included.
Transcript RunBoth(const Lab& lab, const std::string& scenario, Family family,
                   const std::vector<std::string>& env) {
  const auto server = lab.server().Start(
      {.argv = {Probe(), scenario, "server", family == Family::kV4 ? "0.0.0.0" : "::"},
       .env = env});
  if (!Eventually(
          [&] { return server->out().find("ready\n") != std::string::npos || !server->Running(); }))
    return {server->out() + "never ready", ""};
  const auto client = lab.client().Start(
      {.argv = {Probe(), scenario, "client", lab.Address(lab.server(), 1, family)}, .env = env});
  const auto finish = [](Child& child) {
    const std::optional<int> status = child.Wait(std::chrono::seconds(40));
    return child.out() + child.err() +
           (status ? "exit status " + std::to_string(*status) : std::string("hangs"));
  };
  const std::string client_says = finish(*client);
  return {finish(*server), client_says};
}

class Sockets : public testing::TestWithParam<std::tuple<const char*, Family>> {
 protected:
  std::string scenario() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }

  Lab lab_{LabOptions{}};
};

INSTANTIATE_TEST_SUITE_P(
    Scenarios, Sockets,
    testing::Combine(testing::Values("blocking", "dual_stack", "poll", "select", "epoll_level",
                                     "epoll_edge", "refused_blocking", "refused_nonblocking",
                                     "client_ends_first", "server_ends_first", "reset",
                                     "linger_reset", "peek", "vectors_and_files", "addresses",
                                     "megabytes", "options", "shutdowns", "dup", "fork", "prefork",
                                     "exec", "accept4", "connect_twice", "reopen", "unnoticed",
                                     "urgent"),
                     testing::Values(Family::kV4, Family::kV6)),
    [](const auto& test) {
      return std::string(std::get<0>(test.param)) +
             (std::get<1>(test.param) == Family::kV4 ? "_v4" : "_v6");
    });

TEST_P(Sockets, SameAsTheKernels) {
  const Transcript kernel = RunBoth(lab_, scenario(), family(), {});
  const Transcript product = RunBoth(lab_, scenario(), family(), Product::Environment());
  EXPECT_EQ(product.first, kernel.first);
  EXPECT_EQ(product.second, kernel.second);
  EXPECT_GT(Product::EnginePid(lab_.client()), 0);
  EXPECT_GT(Product::EnginePid(lab_.server()), 0);
}

// The witness itself: two runs over the kernel do not differ.
TEST_P(Sockets, TheKernelsAreAlwaysTheSame) {
  const Transcript first = RunBoth(lab_, scenario(), family(), {});
  EXPECT_EQ(RunBoth(lab_, scenario(), family(), {}), first);
  EXPECT_THAT(first.first, HasSubstr("exit status 0"));
  EXPECT_THAT(first.second, HasSubstr("exit status 0"));
}

class ShimLog : public testing::Test {
 protected:
  // The client's stderr after a refused connect() without an engine.
  std::string ErrorsWith(std::vector<std::string> env) {
    env.push_back("LD_PRELOAD=" + Product::Library());
    env.push_back("MPTCPTLS_ENGINE=/nonexistent");
    const auto client = lab_.client().Start({.argv = {Probe(), "refused_blocking", "client",
                                                      lab_.Address(lab_.server(), 1, Family::kV4)},
                                             .env = env});
    EXPECT_EQ(client->Wait(), 0);
    EXPECT_THAT(client->out(), HasSubstr("connect: ECONNREFUSED"));  // the kernel's answer
    return client->err();
  }

  Lab lab_{LabOptions{}};
};

TEST_F(ShimLog, SilentUnlessAskedFor) {
  EXPECT_THAT(ErrorsWith({}), IsEmpty());
  EXPECT_THAT(ErrorsWith({"MPTCPTLS_LOG="}), IsEmpty());
}

TEST_F(ShimLog, ToStderr) {
  EXPECT_THAT(ErrorsWith({"MPTCPTLS_LOG=stderr"}), HasSubstr("there is no engine to start"));
}

TEST_F(ShimLog, ToAFile) {
  const std::string file = lab_.folder() + "/shim.log";
  EXPECT_THAT(ErrorsWith({"MPTCPTLS_LOG=" + file}), IsEmpty());
  EXPECT_THAT(ReadFile(file), HasSubstr("there is no engine to start"));
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
}

}  // namespace
}  // namespace mptcptls::lab
