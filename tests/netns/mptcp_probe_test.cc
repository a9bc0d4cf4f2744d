// A program of the kernel's MPTCP under the product: what its sockets tell is what the kernel's
// own MPTCP tells it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::Not;

using Transcript = std::pair<std::string, std::string>;  // the server's, the client's
using Environment = std::vector<std::string>;

constexpr const char* kWrapper = "/usr/lib/x86_64-linux-gnu/mptcpize/libmptcpwrap.so.0";

std::string Probe() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mptcp_probe";
}

// RFC 8684's keys: the kernel has no others, and the probe speaks in clear.
Environment InClear() {
  Environment env = Product::Environment();
  env.push_back("MPTCPTLS_AUTH=keys");
  return env;
}

Transcript RunBoth(const Lab& lab, const std::vector<std::string>& server_argv,
                   const std::vector<std::string>& client_argv, const Environment& server_env,
                   const Environment& client_env) {
  const auto command = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Probe());
    return arguments;
  };
  const auto server = lab.server().Start({.argv = command(server_argv), .env = server_env});
  if (!Eventually(
          [&] { return server->out().find("ready\n") != std::string::npos || !server->Running(); }))
    return {server->out() + "never ready", ""};
  const auto client = lab.client().Start({.argv = command(client_argv), .env = client_env});
  const auto finish = [](Child& child) {
    const std::optional<int> status = child.Wait(std::chrono::seconds(40));
    return child.out() + child.err() +
           (status ? "exit status " + std::to_string(*status) : std::string("hangs"));
  };
  const std::string client_says = finish(*client);
  return {finish(*server), client_says};
}

// The kernel's MPTCP, told to use both links as the product does by itself.
void UseBothLinks(const Lab& lab, Family family) {
  for (const Host* const host : {&lab.client(), &lab.server()})
    host->Run("ip mptcp limits set subflows 2 add_addr_accepted 2");
  lab.server().Run("ip mptcp endpoint add " + lab.Address(lab.server(), 2, family) +
                   " dev l2 signal");
}

// The product announces addresses of both families; the kernel is told of one.
void KeepFamily(const Lab& lab, Family family) {
  const std::string other = family == Family::kV4 ? "-6" : "-4";
  for (const Host* const host : {&lab.client(), &lab.server()}) {
    for (const int link : {1, 2})
      host->Run("ip " + other + " addr flush dev " + Lab::Interface(link));
  }
}

struct Case {
  const char *name, *any;
  Family family;
  const char* prefix;  // of the server's address: IPv4 on an IPv6 socket
};
void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class Api : public testing::TestWithParam<Case> {
 protected:
  std::string Any() const { return GetParam().any; }
  std::string Server(const Lab& lab) const {
    return GetParam().prefix + lab.Address(lab.server(), 1, GetParam().family);
  }
  Transcript Connect(const Lab& lab, const char* server_protocol, const char* client_protocol,
                     bool two_paths, const Environment& server_env,
                     const Environment& client_env) const {
    std::vector<std::string> client = {two_paths ? "client" : "single", Server(lab),
                                       client_protocol};
    if (two_paths) client.emplace_back("2");
    return RunBoth(lab, {"server", Any(), server_protocol}, client, server_env, client_env);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, Api,
                         testing::Values(Case{"v4", "0.0.0.0", Family::kV4, ""},
                                         Case{"v6", "::", Family::kV6, ""},
                                         Case{"mapped", "::", Family::kV4, "::ffff:"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Api, TwoPathsAreToldAsTheKernelTellsThem) {
  Lab lab(LabOptions{.kernel_mptcp = true});
  UseBothLinks(lab, GetParam().family);
  const Transcript kernel = Connect(lab, "mptcp", "mptcp", true, {}, {});
  EXPECT_THAT(kernel.first, HasSubstr("subflows 1 of 2 in all"));
  EXPECT_THAT(kernel.second, HasSubstr("subflows 1 of 2 in all"));
  EXPECT_THAT(kernel.second, HasSubstr("exit status 0"));
  // Also where the kernel has none to give.
  for (const bool kernel_mptcp : {true, false}) {
    Lab other(LabOptions{.kernel_mptcp = kernel_mptcp});
    KeepFamily(other, GetParam().family);
    const Transcript product = Connect(other, "mptcp", "mptcp", true, InClear(), InClear());
    EXPECT_EQ(product.first, kernel.first) << kernel_mptcp;
    EXPECT_EQ(product.second, kernel.second) << kernel_mptcp;
    const auto status = Product::Status(other.client());
    ASSERT_TRUE(status && !status->connections.empty());
    EXPECT_EQ(status->connections.back().mode, "keys");
  }
}

TEST_P(Api, PlainTcpIsToldAsTheKernelTellsAFallback) {
  Environment tcp = Product::Environment();
  tcp.push_back("MPTCPTLS_AUTH=tcp");
  for (const auto& [server, client] : {std::pair("mptcp", "tcp"), std::pair("tcp", "mptcp")}) {
    Lab lab(LabOptions{.kernel_mptcp = true});
    const Transcript kernel = Connect(lab, server, client, false, {}, {});
    const Transcript product = Connect(lab, server, client, false, tcp, tcp);
    EXPECT_EQ(product.first, kernel.first) << server;
    EXPECT_EQ(product.second, kernel.second) << client;
    EXPECT_THAT(kernel.second, HasSubstr("exit status 0"));
    EXPECT_GT(Product::EnginePid(lab.client()), 0);
  }
}

// The program asked for TCP, and has MPTCP all the same.
TEST_P(Api, TcpSocketsTellOfTheirMptcp) {
  Lab lab(LabOptions{});
  const Transcript both = Connect(lab, "tcp", "tcp", true, InClear(), InClear());
  for (const std::string& says : {both.first, both.second}) {
    EXPECT_THAT(says, HasSubstr("subflows 1 of 2 in all, flags 2, token yes, checksum 0"));
    EXPECT_THAT(says, HasSubstr("TCP_IS_MPTCP: 1 length 4"));
    EXPECT_THAT(says, HasSubstr("SO_PROTOCOL: 6 length 4"));
    EXPECT_THAT(says, Not(HasSubstr("SO_PROTOCOL: 262")));
    EXPECT_THAT(says, HasSubstr("exit status 0"));
  }
}

// A client on the server's own host comes by the kernel, to a listener that blocks, as most do: the
// engine does not wait with it.
TEST_P(Api, ClientsOnThisHostHaveTcp) {
  const auto run = [&](const Environment& env) {
    const Lab lab(LabOptions{.links = 1, .kernel_mptcp = true});
    const auto server =
        lab.server().Start({.argv = {Probe(), "server", Any(), "mptcp"}, .env = env});
    EXPECT_TRUE(Eventually([&] { return server->out().find("ready\n") != std::string::npos; }));
    const auto client =
        lab.server().Start({.argv = {Probe(), "single", Server(lab), "tcp"}, .env = env});
    EXPECT_EQ(client->Wait(std::chrono::seconds(20)), 0);
    EXPECT_EQ(server->Wait(std::chrono::seconds(20)), 0);
    if (!env.empty()) {
      EXPECT_TRUE(Product::Status(lab.server()).has_value());
    }
    return Transcript(server->out(), client->out());
  };
  const Transcript kernel = run({});
  const Transcript product = run(Product::Environment());
  EXPECT_EQ(product.first, kernel.first);
  EXPECT_EQ(product.second, kernel.second);
}

class ApiOfPrograms : public testing::TestWithParam<Family> {
 protected:
  std::string Server(const Lab& lab) const { return lab.Address(lab.server(), 1, GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Families, ApiOfPrograms, testing::Values(Family::kV4, Family::kV6),
                         [](const auto& test) { return test.param == Family::kV4 ? "v4" : "v6"; });

// TLS keys, against a server that knows nothing of MPTCP either.
TEST_P(ApiOfPrograms, UnderTlsKeysEachPathIsTold) {
  Lab lab(LabOptions{});
  for (const int link : {1, 2}) lab.Shape(link, 50);
  Nginx nginx(lab, lab.server());
  WriteRandomFile(nginx.www() + "/file", kMiB);
  nginx.Start(Product::Environment());
  const auto probe = lab.client().Start(
      {.argv = {Probe(), "tls", Server(lab), "/file", "2"}, .env = Product::Environment()});
  EXPECT_EQ(probe->Wait(std::chrono::seconds(60)), 0) << probe->out() << probe->err();
  const std::string says = probe->out();
  for (const int link : {1, 2}) {
    const auto at = [&](const Host& host) { return lab.Address(host, link, GetParam()); };
    EXPECT_THAT(says, HasSubstr("subflow " + at(lab.client()) + ":ephemeral to " +
                                at(lab.server()) + ":443: state 1 options 7 rtt yes mss yes"));
  }
  EXPECT_THAT(says, HasSubstr("subflows 2, flags 2, token "));
  EXPECT_THAT(says, Not(HasSubstr("token 00000000")));
  EXPECT_THAT(says, HasSubstr("received all\ncarried by subflows: all\non each: yes\n"));
  EXPECT_THAT(says, HasSubstr("full info: ids 1 2, the same addresses: yes, token yes"));
  const auto status = Product::Status(lab.client());
  ASSERT_TRUE(status && !status->connections.empty());
  EXPECT_EQ(status->connections.back().mode, "tls-auth");
}

// mptcpize's library makes every TCP socket one of MPTCP: behind ours, and before it, where we do
// not see socket(). The kernel must have MPTCP to give then.
TEST_P(ApiOfPrograms, WorksWithMptcpize) {
  const std::string before = std::string(kWrapper) + ":" + Product::Library();
  const std::string behind = Product::Library() + ":" + kWrapper;
  for (const auto& [kernel_mptcp, libraries] :
       {std::pair(true, before), std::pair(true, behind), std::pair(false, behind)}) {
    Lab lab(LabOptions{.kernel_mptcp = kernel_mptcp});
    for (const int link : {1, 2}) lab.Shape(link, 50);
    Nginx nginx(lab, lab.server());
    const std::string sum = WriteRandomFile(nginx.www() + "/file", 4 * kMiB);
    const Environment env = {"LD_PRELOAD=" + libraries, "MPTCPTLS_REQUIRE=1"};
    nginx.Start(env);
    const std::string copy = lab.folder() + "/copy";
    const CurlResult result = RunCurl(lab.client(), {.url = UrlOf("https", Server(lab), "/file"),
                                                     .output = copy,
                                                     .ca = nginx.certificate(),
                                                     .env = env});
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(FileSha256(copy), sum);
    for (const Host* const host : {&lab.client(), &lab.server()}) {
      const auto status = Product::Status(*host);
      ASSERT_TRUE(status && !status->connections.empty()) << libraries;
      EXPECT_EQ(status->connections.back().mode, "tls-auth");
      EXPECT_EQ(status->connections.back().subflows.size(), 2u);
    }
  }
}

// Without an engine to be had, and without the kernel's MPTCP, the program gets the kernel's error.
TEST(WithoutAnEngine, TheKernelsRefusalStays) {
  Lab lab(LabOptions{.links = 1});
  const std::vector<std::string> argv = {Probe(), "single",
                                         lab.Address(lab.server(), 1, Family::kV4), "mptcp"};
  const auto says = [&](const Environment& env) {
    const auto probe = lab.client().Start({.argv = argv, .env = env});
    probe->Wait();
    return probe->out();
  };
  const std::string kernel = says({});
  EXPECT_THAT(kernel, HasSubstr("socket: ENOPROTOOPT\n"));
  EXPECT_EQ(says({"LD_PRELOAD=" + Product::Library(), "MPTCPTLS_ENGINE=/nonexistent"}), kernel);
}

}  // namespace
}  // namespace mptcptls::lab
