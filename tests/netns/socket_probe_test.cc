// The same program with and without the product: its transcripts are the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/socket_run.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Sockets : public testing::TestWithParam<std::tuple<const char*, Family>> {
 protected:
  std::string scenario() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }

  Lab lab_{LabOptions{}};
};

std::string NameOf(const testing::TestParamInfo<std::tuple<const char*, Family>>& test) {
  return std::string(std::get<0>(test.param)) +
         (std::get<1>(test.param) == Family::kV4 ? "_v4" : "_v6");
}

const auto kScenarios = testing::Combine(
    testing::Values("blocking", "dual_stack", "poll", "select", "epoll_level", "epoll_edge",
                    "refused_blocking", "refused_nonblocking", "client_ends_first",
                    "server_ends_first", "more", "reset", "linger_reset", "peek",
                    "vectors_and_files", "addresses", "megabytes", "options", "shutdowns", "dup",
                    "fork", "prefork", "exec", "accept4", "connect_twice", "reopen", "unnoticed",
                    "urgent"),
    testing::Values(Family::kV4, Family::kV6));
INSTANTIATE_TEST_SUITE_P(Scenarios, Sockets, kScenarios, NameOf);

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

// Sockets that the program makes with IPPROTO_MPTCP: of the kernel's MPTCP where it has that (here
// with IPv4), else TCP's in their place.
class MptcpSockets : public testing::TestWithParam<std::tuple<const char*, Family>> {
 protected:
  std::string scenario() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }

  // The options that the kernel's MPTCP refuses are its own affair until connect() (SO_OOBINLINE).
  Lab lab_{
      LabOptions{.kernel_mptcp = family() == Family::kV4 && scenario() != std::string("options")}};
};
INSTANTIATE_TEST_SUITE_P(Scenarios, MptcpSockets, kScenarios, NameOf);

TEST_P(MptcpSockets, AreAsTcps) {
  Transcript expected = RunBoth(lab_, scenario(), family(), {});
  for (std::string* const says : {&expected.first, &expected.second}) {
    for (size_t at = 0; (at = says->find("SO_PROTOCOL: 6 ", at)) != std::string::npos;)
      says->replace(at, 15, "SO_PROTOCOL: 262 ");
  }
  std::vector<std::string> env = Product::Environment();
  env.emplace_back("PROBE_PROTOCOL=262");
  const Transcript product = RunBoth(lab_, scenario(), family(), env);
  EXPECT_EQ(product.first, expected.first);
  EXPECT_EQ(product.second, expected.second);
  EXPECT_GT(Product::EnginePid(lab_.client()), 0);
  EXPECT_GT(Product::EnginePid(lab_.server()), 0);
}

// mptcpize's library makes the sockets, and ours behind it does not see how: what is registered
// before connect() goes on being so.
class BehindMptcpize : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Scenarios, BehindMptcpize,
                         testing::Values("epoll_level", "epoll_edge", "refused_nonblocking"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(BehindMptcpize, AreAsTcps) {
  const Lab lab(LabOptions{.kernel_mptcp = true});
  const Transcript expected = RunBoth(lab, GetParam(), Family::kV4, {});
  const Transcript product =
      RunBoth(lab, GetParam(), Family::kV4,
              Product::Environment("/usr/lib/x86_64-linux-gnu/mptcpize/libmptcpwrap.so.0"));
  EXPECT_EQ(product, expected);
  EXPECT_GT(Product::EnginePid(lab.client()), 0);
}

// ICMP errors about a SYN, from a firewall at the other end (where the product captures nothing):
// how connect() fails. Over a link with a delay: what comes back while the kernel's connect() still
// holds the socket is not seen there before the next SYN.
struct Rejection {
  const char *name, *icmp, *icmp6;  // as nft calls them; icmp6 null: none of its like
};

void PrintTo(const Rejection& rejection, std::ostream* out) { *out << rejection.name; }

class Rejected : public testing::TestWithParam<Rejection> {
 protected:
  Rejected() { lab_.Emulator(1, "delay_ms=5"); }

  Lab lab_{LabOptions{.middle = Middle::kEmulator}};
};

INSTANTIATE_TEST_SUITE_P(Icmp, Rejected,
                         testing::Values(Rejection{"port", "port-unreachable", "port-unreachable"},
                                         Rejection{"host", "host-unreachable", "addr-unreachable"},
                                         Rejection{"net", "net-unreachable", "no-route"},
                                         Rejection{"protocol", "prot-unreachable", nullptr},
                                         Rejection{"policy", "admin-prohibited",
                                                   "admin-prohibited"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Rejected, AsTheKernelSaysIt) {
  const auto refuse = [&](const std::string& family, const std::string& how) {
    lab_.server().Run("nft 'table " + family +
                      " wall { chain input { type filter hook input priority 0; "
                      "tcp dport 7001 reject with " +
                      how + "; }; }'");
  };
  refuse("ip", std::string("icmp type ") + GetParam().icmp);
  if (GetParam().icmp6 != nullptr) refuse("ip6", std::string("icmpv6 type ") + GetParam().icmp6);
  for (const Family family : {Family::kV4, Family::kV6}) {
    if (family == Family::kV6 && GetParam().icmp6 == nullptr) continue;
    const Transcript kernel = RunBoth(lab_, "refused_blocking", family, {});
    const Transcript product =
        RunBoth(lab_, "refused_blocking", family, {}, Product::Environment());
    EXPECT_EQ(product, kernel);
    EXPECT_THAT(kernel.second, HasSubstr("connect: E"));
    EXPECT_GT(Product::EnginePid(lab_.client()), 0);
  }
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
