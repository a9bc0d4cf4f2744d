// The lab itself: it does what it says, and leaves nothing behind.
#include "tests/netns/lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/netns/capture.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

bool Pings(const Host& from, const std::string& address, const std::string& interface = "") {
  std::vector<std::string> argv = {"ping", "-c", "1", "-W", "1", address};
  if (!interface.empty()) argv.insert(argv.end(), {"-I", interface});
  return from.Start({.argv = argv})->Wait() == 0;
}

std::string InitialInterfaces() {
  const auto ip = Child::Start({.argv = {"ip", "-br", "link"}}, [] {});
  EXPECT_EQ(ip->Wait(), 0);
  return ip->out();
}

TEST(Child, ReportsOutputAndStatus) {
  const auto child = Child::Start({.argv = {"sh", "-c", "echo out; echo err >&2; exit 3"}}, [] {});
  EXPECT_EQ(child->Wait(), 3);
  EXPECT_EQ(child->out(), "out\n");
  EXPECT_EQ(child->err(), "err\n");
}

TEST(Child, ReportsASignalAsTheShellDoes) {
  const auto child = Child::Start({.argv = {"sleep", "1000"}}, [] {});
  EXPECT_TRUE(child->Running());
  child->Signal(SIGTERM);
  EXPECT_EQ(child->Wait(), 128 + SIGTERM);
}

TEST(Child, GivesUpAtTheDeadline) {
  const auto child = Child::Start({.argv = {"sleep", "1000"}}, [] {});
  EXPECT_EQ(child->Wait(std::chrono::milliseconds(1)), std::nullopt);
}

TEST(Child, NamesTheProgramThatIsNotThere) {
  EXPECT_THROW(Child::Start({.argv = {"/no/such/program"}}, [] {}), std::system_error);
}

class EveryMiddle : public testing::TestWithParam<Middle> {};
std::string MiddleName(const testing::TestParamInfo<Middle>& info) {
  constexpr const char* kNames[] = {"nothing", "bridge", "router", "emulator"};
  return kNames[static_cast<int>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Lab, EveryMiddle,
                         testing::Values(Middle::kNothing, Middle::kBridge, Middle::kRouter,
                                         Middle::kEmulator),
                         MiddleName);

TEST_P(EveryMiddle, LinksCarryBothFamilies) {
  Lab lab({.middle = GetParam()});
  for (int link = 1; link <= 2; ++link) {
    for (const Family family : {Family::kV4, Family::kV6}) {
      EXPECT_TRUE(Pings(lab.client(), lab.Address(lab.server(), link, family))) << link;
    }
  }
  EXPECT_GT(lab.server().Counters("l2").rx_packets, 0u);
}

TEST_P(EveryMiddle, AdminDownLosesTheAddressesAndUpRestoresThem) {
  Lab lab({.middle = GetParam()});
  const auto before = lab.client().Snapshot();
  lab.AdminDown(lab.client(), 1);
  EXPECT_THAT(lab.client().Run("ip -6 addr show dev l1"), Not(HasSubstr("fd00:9:1::1")));
  EXPECT_FALSE(Pings(lab.client(), lab.Address(lab.server(), 1, Family::kV4), "l1"));
  EXPECT_TRUE(Pings(lab.client(), lab.Address(lab.server(), 2, Family::kV4)));
  lab.AdminUp(lab.client(), 1);
  for (const Family family : {Family::kV4, Family::kV6}) {
    const std::string address = lab.Address(lab.server(), 1, family);
    EXPECT_TRUE(Eventually([&] { return Pings(lab.client(), address); })) << address;
  }
  // The kernel gives the link-local address back on its own time.
  std::string difference;
  EXPECT_TRUE(Eventually([&] {
    difference = Difference(before, lab.client().Snapshot());
    return difference.empty();
  })) << difference;
}

TEST_P(EveryMiddle, CarrierLossKeepsTheAddresses) {
  Lab lab({.middle = GetParam()});
  lab.CarrierOff(lab.client(), 1);
  EXPECT_THAT(lab.client().Run("ip link show dev l1"), HasSubstr("NO-CARRIER"));
  EXPECT_THAT(lab.client().Run("ip addr show dev l1"), HasSubstr("fd00:9:1::1"));
  EXPECT_FALSE(Pings(lab.client(), lab.Address(lab.server(), 1, Family::kV4), "l1"));
  lab.CarrierOn(lab.client(), 1);
  for (const Family family : {Family::kV4, Family::kV6}) {
    const std::string address = lab.Address(lab.server(), 1, family);
    EXPECT_TRUE(Eventually([&] { return Pings(lab.client(), address); })) << address;
  }
}

TEST_P(EveryMiddle, BlackholeIsSilent) {
  Lab lab({.middle = GetParam()});
  if (GetParam() == Middle::kNothing) {
    EXPECT_THROW(lab.BlackholeOn(1), std::logic_error);
    return;
  }
  lab.BlackholeOn(1);
  EXPECT_FALSE(Pings(lab.client(), lab.Address(lab.server(), 1, Family::kV4), "l1"));
  EXPECT_THAT(lab.client().Run("ip link show dev l1"), Not(HasSubstr("NO-CARRIER")));
  // Beyond a router, the server's answers would take its own default route.
  const bool routed = GetParam() == Middle::kRouter;
  EXPECT_TRUE(
      Pings(lab.client(), routed ? "10.9.2.254" : lab.Address(lab.server(), 2, Family::kV4), "l2"));
  lab.BlackholeOff(1);
  EXPECT_TRUE(
      Eventually([&] { return Pings(lab.client(), lab.Address(lab.server(), 1, Family::kV4)); }));
}

TEST_P(EveryMiddle, LeavesNothing) {
  const std::string interfaces = InitialInterfaces();
  std::string name;
  std::string folder;
  pid_t stray = 0;
  {
    Lab lab({.middle = GetParam()});
    name = lab.name();
    folder = lab.folder();
    // A process that nobody waits for, in a session of its own.
    lab.client().Run("setsid sleep 1000 >/dev/null 2>&1 & echo $! > " + folder + "/stray");
    stray = std::stoi(ReadFile(folder + "/stray"));
    ASSERT_EQ(kill(stray, 0), 0);
  }
  EXPECT_THAT(ListNamespaces(name), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_TRUE(AwaitExit(stray, kPatience));
  EXPECT_EQ(InitialInterfaces(), interfaces);
}

TEST(Lab, LeavesNothingWhenItsOwnerIsKilled) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    Lab lab({.middle = Middle::kEmulator});
    lab.server().Run("setsid sleep 1000 >/dev/null 2>&1 & echo $! > " + lab.folder() + "/stray");
    if (write(ready[1], lab.name().c_str(), lab.name().size()) < 0) _exit(1);
    pause();
    _exit(1);
  }
  char buffer[100];
  const ssize_t n = read(ready[0], buffer, sizeof buffer);
  close(ready[0]);
  close(ready[1]);
  ASSERT_GT(n, 0);
  const std::string name(buffer, static_cast<size_t>(n));
  const pid_t stray = std::stoi(ReadFile("/tmp/" + name + "/stray"));
  ASSERT_EQ(ListNamespaces(name).size(), 3u);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  EXPECT_TRUE(Eventually(
      [&] { return ListNamespaces(name).empty() && !std::filesystem::exists("/tmp/" + name); }));
  EXPECT_TRUE(AwaitExit(stray, kPatience));
}

TEST(Lab, StrangerSharesLinkOne) {
  Lab lab({.middle = Middle::kBridge, .stranger = true});
  EXPECT_TRUE(Pings(lab.stranger(), lab.Address(lab.server(), 1, Family::kV4)));
  EXPECT_TRUE(Pings(lab.client(), lab.Address(lab.stranger(), 1, Family::kV6)));
}

TEST(Lab, RouterGivesDefaultRoutes) {
  Lab lab({.middle = Middle::kRouter});
  EXPECT_EQ(lab.Address(lab.server(), 2, Family::kV4), "10.9.102.2");
  const std::string routes = lab.client().Run("ip route");
  EXPECT_THAT(routes, HasSubstr("default via 10.9.1.254 dev l1 metric 101"));
  EXPECT_THAT(routes, HasSubstr("default via 10.9.2.254 dev l2 metric 102"));
}

TEST(Lab, KernelMptcpIsOffUnlessAskedFor) {
  Lab lab({.links = 1});
  EXPECT_EQ(lab.server().Run("sysctl -n net.mptcp.enabled"), "0\n");
}

TEST(Lab, DifferenceNamesEveryTraceOfChange) {
  Lab lab({.links = 1});
  const Host& host = lab.client();
  const auto before = host.Snapshot();
  EXPECT_EQ(Difference(before, host.Snapshot()), "");
  host.Run("ip rule add from 10.9.1.1 table 77; ip route add 10.20.0.0/16 dev l1 table 77");
  host.Run("ip link add d0 type bridge; nft add table inet left_behind");
  host.SetSysctl("net.ipv4.ip_forward", "1");
  const std::string difference = Difference(before, host.Snapshot());
  for (const char* trace :
       {"+rules: ", "+routes: 10.20.0.0/16", "+links: ", "table inet left_behind",
        "-sysctls: net.ipv4.ip_forward = 0", "+sysctls: net.ipv4.ip_forward = 1"}) {
    EXPECT_THAT(difference, HasSubstr(trace));
  }
}

TEST(Capture, HoldsEveryPacket) {
  Lab lab({.links = 1});
  Capture capture(lab.client(), "l1", lab.folder() + "/l1.pcap", "icmp");
  lab.client().Run("ping -q -c 200 -i 0.002 " + lab.Address(lab.server(), 1, Family::kV4));
  capture.Stop();
  const std::string list = lab.client().Run("tcpdump -nr " + capture.file() + " icmp 2>/dev/null");
  EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 400);
}

}  // namespace
}  // namespace mptcptls::lab
