// The socket probe's rows of issue 5's list: many share a lab, first with the kernel's TCP, then
// with captured sockets. Both say the same, or what differs is listed here and in the README.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <ostream>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/socket_run.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// A line of a row that a captured socket says otherwise.
struct Exception {
  const char *row, *kernel, *product;
};
constexpr Exception kExceptions[] = {
    {"low_water", "poll with three: none", "poll with three: IN"},
    {"forgotten", "SO_ERROR: 104 length 4", "SO_ERROR: 0 length 4"},
    {"again", "local 0.0.0.0:ephemeral length 16, peer ENOTCONN",
     "local 0.0.0.0:0 length 16, peer ENOTCONN"},
    {"again", "local :::ephemeral length 28, peer ENOTCONN", "local :::0 length 28, peer ENOTCONN"},
    {"waiting_connect", "send: EAGAIN", "send: 1"},
    {"urgent_apart", "urgent: yes", "urgent: no"},
    {"urgent_apart", "recv urgent: 1", "recv urgent: EINVAL"},
    {"urgent_apart", "received beforeafter", "received before!after"},
    {"wait_all", "peek all: 6", "peek all: 3"},
    {"write_after_reset", "first write: ECONNRESET", "first write: EPIPE"},
    {"no_file", "mmap: ok", "mmap: ENODEV"},
    {"spent_one_shot", "spent: no event", "spent: OUT"},
    {"flags", "early: peer 10.9.1.2:7000 length 16", "early: peer ENOTCONN"},
    {"flags", "early: peer fd00:9:1::2:7000 length 28", "early: peer ENOTCONN"},
    {"strangers_connection", "local 10.9.1.1:ephemeral length 16, peer 10.9.1.2:7000 length 16",
     "local family 1 length 106, peer family 1 length 18"},
    {"strangers_connection",
     "local fd00:9:1::1:ephemeral length 28, peer fd00:9:1::2:7000 length 28",
     "local family 1 length 106, peer family 1 length 18"},
    {"strangers_connection", "SO_DOMAIN: 2 length 4", "SO_DOMAIN: 1 length 4"},
    {"strangers_connection", "SO_DOMAIN: 10 length 4", "SO_DOMAIN: 1 length 4"},
    {"strangers_connection", "SO_PROTOCOL: 6 length 4", "SO_PROTOCOL: 0 length 4"},
    {"strangers_listener", "accepted 10.9.1.1:ephemeral length 16", "accepted family 1 length 106"},
    {"strangers_listener", "accepted fd00:9:1::1:ephemeral length 28",
     "accepted family 1 length 106"},
    {"strangers_listener", "listener: local 0.0.0.0:7000 length 16",
     "listener: local family 1 length 106"},
    {"strangers_listener", "listener: local :::7000 length 28",
     "listener: local family 1 length 106"},
};

// What the product shall say where the kernel says this; how many exceptions there are to it.
std::string Expected(const std::string& row, std::string says, int* applied) {
  for (const Exception& exception : kExceptions) {
    if (row != exception.row) continue;
    const std::string kernel = std::string("\n") + exception.kernel + "\n";
    const std::string product = std::string("\n") + exception.product + "\n";
    for (size_t at = 0; (at = says.find(kernel, at)) != std::string::npos;) {
      says.replace(at, kernel.size(), product);
      at += product.size() - 1;
      ++*applied;
    }
  }
  return says;
}

bool HasException(const std::string& row) {
  return std::ranges::any_of(kExceptions,
                             [&](const Exception& exception) { return row == exception.row; });
}

struct Theme {
  const char* name;
  std::vector<const char*> rows;
};
void PrintTo(const Theme& theme, std::ostream* out) { *out << theme.name; }

const Theme kThemes[] = {
    {"Options",
     {"v6_only", "mapped", "reuseport", "all_options", "path", "buffers", "low_water",
      "defer_accept", "wrong_options"}},
    {"Connects",
     {"again", "again_nonblocking", "forgotten", "bound", "timed_connect", "waiting_connect",
      "no_route", "wrong_calls", "over", "listeners", "woken", "interrupted"}},
    {"Messages",
     {"truncated", "error_queue", "urgent_apart", "wait_all", "sigpipe", "write_after_reset",
      "queues", "many", "control", "fast_open", "splice", "no_file", "stdio", "timeouts",
      "linger"}},
    {"Events",
     {"calls", "one_shot", "spent_one_shot", "edges", "exclusive", "high", "signals",
      "closed_while_polled"}},
    {"Descriptors", {"ends", "flags", "io_uring", "io_uring_accept", "io_uring_connect"}},
    {"Processes",
     {"both_ends", "spawned", "inetd", "handed_connection", "handed_listener", "handed_fresh",
      "strangers_connection", "strangers_listener"}},
};

class SocketRows : public testing::TestWithParam<std::tuple<Theme, Family>> {};
INSTANTIATE_TEST_SUITE_P(Themes, SocketRows,
                         testing::Combine(testing::ValuesIn(kThemes),
                                          testing::Values(Family::kV4, Family::kV6)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) == Family::kV4 ? "_v4" : "_v6");
                         });

TEST_P(SocketRows, SameAsTheKernels) {
  const auto& [theme, family] = GetParam();
  const Lab lab(LabOptions{});
  std::map<std::string, Transcript> kernel;
  for (const char* row : theme.rows) {
    kernel[row] = RunBoth(lab, row, family, {});
    EXPECT_THAT(kernel[row].first, HasSubstr("exit status 0")) << row;
    EXPECT_THAT(kernel[row].second, HasSubstr("exit status 0")) << row;
  }
  for (const char* row : theme.rows) {
    const Transcript product = RunBoth(lab, row, family, Product::Environment());
    int exceptions = 0;
    EXPECT_EQ(product.first, Expected(row, kernel[row].first, &exceptions)) << row;
    EXPECT_EQ(product.second, Expected(row, kernel[row].second, &exceptions)) << row;
    EXPECT_EQ(exceptions > 0, HasException(row)) << row;
  }
  EXPECT_GT(Product::EnginePid(lab.client()), 0);
  EXPECT_GT(Product::EnginePid(lab.server()), 0);
}

// The kernel would do them, or say something else: a clean refusal, and the connection goes on.
TEST(SocketRow, WhatIsRefused) {
  const Lab lab(LabOptions{});
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Transcript says = RunBoth(lab, "refused_options", family, Product::Environment());
    EXPECT_EQ(says.second,
              "connect: ok\nTCP_ULP: ENOPROTOOPT\nTCP_MD5SIG: ENOPROTOOPT\n"
              "SO_ZEROCOPY: EOPNOTSUPP\nTCP_REPAIR: ENOPROTOOPT\nIP_MINTTL: ENOPROTOOPT\n"
              "TCP_INQ: ENOPROTOOPT\n"
              "send: 7\nrecv: 7\nreceived goes on\nexit status 0");
  }
}

// SO_BINDTODEVICE, SO_ZEROCOPY: kernel TCP, or no connection where that must not be.
TEST(SocketRow, WhatStaysTheKernels) {
  const Lab lab(LabOptions{});
  const Transcript kernel = RunBoth(lab, "wishes", Family::kV4, {});
  const std::vector<std::string> preloaded = {"LD_PRELOAD=" + Product::Library()};
  EXPECT_EQ(RunBoth(lab, "wishes", Family::kV4, {}, preloaded), kernel);
  const auto status = Product::Status(lab.client());
  ASSERT_TRUE(status);
  EXPECT_THAT(status->connections, IsEmpty());
  const auto refused = lab.client().Start(
      {.argv = {Probe(), "wishes", "client", lab.Address(lab.server(), 1, Family::kV4)},
       .env = Product::Environment()});
  refused->Wait();
  EXPECT_THAT(refused->out(), HasSubstr("to a device: ENETDOWN"));
  EXPECT_THAT(refused->out(), HasSubstr("with notifications: ENETDOWN"));
}

// IP_TOS and IPV6_TCLASS on every packet of the program's end, counted where it arrives.
TEST(SocketRow, TrafficClassIsOnTheWire) {
  const Lab lab(LabOptions{.links = 1});
  const auto count = [](const Host& host, const std::string& port, const std::string& dscp) {
    host.Run(
        "nft 'table netdev marks { chain c { type filter hook ingress device l1 priority "
        "-600; ip dscp " +
        dscp + " tcp " + port + " 7000 counter; ip6 dscp " + dscp + " tcp " + port +
        " 7000 counter; tcp " + port + " 7000 counter; }; }'");
  };
  // Packets under the class over IPv4, over IPv6, and all.
  const auto counted = [](const Host& host) {
    const std::string text = host.Run(
        "nft list table netdev marks | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p' | xargs");
    std::array<int, 3> numbers{};
    EXPECT_EQ(sscanf(text.c_str(), "%d %d %d", &numbers[0], &numbers[1], &numbers[2]), 3) << text;
    return numbers;
  };
  count(lab.server(), "dport", "af41");
  count(lab.client(), "sport", "cs1");
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Transcript says = RunBoth(lab, "marked", family, Product::Environment());
    EXPECT_THAT(says.second, HasSubstr("received marked")) << says.first;
  }
  const auto up = counted(lab.server()), down = counted(lab.client());
  EXPECT_GE(up[0], 5);
  EXPECT_GE(up[1], 5);
  EXPECT_EQ(up[0] + up[1], up[2]);
  EXPECT_GE(down[0], 3);
  EXPECT_GE(down[1], 3);
  EXPECT_EQ(down[2] - down[0] - down[1], 2) << "the SYN/ACKs know no option yet";
}

// Packets that a firewall drops in silence, and a host that is not there, of which the kernel hears
// by ARP, and we by the kernel.
TEST(SocketRow, NobodyAnswers) {
  const Lab lab(LabOptions{});
  lab.server().Run(
      "nft 'table inet wall { chain input { type filter hook input priority 0; tcp "
      "dport 7001 drop; }; }'");
  lab.client().SetSysctl("net.ipv4.neigh.l1.retrans_time_ms", "100");
  lab.client().SetSysctl("net.ipv6.neigh.l1.retrans_time_ms", "100");
  const Transcript kernel = RunBoth(lab, "silence", Family::kV4, {});
  EXPECT_THAT(kernel.second, HasSubstr("connect: ETIMEDOUT"));
  EXPECT_EQ(RunBoth(lab, "silence", Family::kV4, {}, Product::Environment()), kernel);
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Transcript unreachable = RunBoth(lab, "unreachable", family, {});
    EXPECT_THAT(unreachable.second, HasSubstr("connect: EHOSTUNREACH"));
    EXPECT_EQ(RunBoth(lab, "unreachable", family, {}, Product::Environment()), unreachable);
  }
}

}  // namespace
}  // namespace mptcptls::lab
