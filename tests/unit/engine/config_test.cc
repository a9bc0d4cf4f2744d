// The configuration file: every key, and every way to write it wrong.
#include "engine/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>

namespace mptcptls {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kFile[] = "/etc/test.toml";

Config Parsed(const std::string& text) {
  std::string error;
  const auto config = ParseConfig(text, kFile, &error);
  EXPECT_TRUE(config.has_value()) << error;
  return config.value_or(Config());
}

std::string ErrorOf(const std::string& text) {
  std::string error;
  EXPECT_FALSE(ParseConfig(text, kFile, &error).has_value()) << text;
  return error;
}

Endpoint At(const std::string& address, uint16_t port) {
  return {IpAddress::Parse(address).value(), port};
}

bool Bypasses(const std::string& match, const std::string& address, uint16_t port) {
  return Parsed("bypass = [\"" + match + "\"]").BypassReason(At(address, port), false, "") != "";
}

// ---- What it says

TEST(Config, EmptyFileMeansTheDefaults) {
  const Config config = Parsed("");
  EXPECT_EQ(config.file, kFile);
  EXPECT_EQ(config.idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(config.cache_lifetime, std::chrono::minutes(10));
  EXPECT_THAT(config.clear_ports, ElementsAre(80, 8080));
  EXPECT_THAT(config.interfaces, IsEmpty());
  EXPECT_THAT(config.listen_allow, IsEmpty());
  EXPECT_THAT(config.bypass, IsEmpty());
  EXPECT_THAT(config.rules, IsEmpty());
  EXPECT_EQ(config.syn_queue, 1024u);
  EXPECT_EQ(config.tcp, TcpPolicy());
  EXPECT_EQ(config.send_buffer, 8u << 20);
  EXPECT_EQ(config.receive_buffer, 12u << 20);
  EXPECT_EQ(config.token_server_id_bits, 0u);
  EXPECT_EQ(config.token_server_id, 0);
  EXPECT_EQ(config.BypassReason(At("192.0.2.1", 443), false, "curl"), "");
  EXPECT_FALSE(config.ListenAllowed(At("192.0.2.1", 443)));
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 443), false, "curl"), std::nullopt);
}

TEST(Config, EveryKeyIsTaken) {
  const Config config = Parsed(R"(
idle_timeout = 1
cache_lifetime = 604800
clear_ports = [1, 65535]
interfaces = ["br0", "br1"]
listen_allow = ["192.0.2.1:443", 8443]
bypass = ["10.0.0.0/8", "fd00::/8"]
congestion = "newreno"
scheduler = "round-robin"
pacing = false
ecn = "ask"
send_buffer = 65536
receive_buffer = 100000000
token_server_id_bits = 4
token_server_id = 15
syn_queue = 1
max_orphans = 1000000
max_time_waits = 77
[paths]
mesh = "full"
max_subflows = 32
max_addresses = 0
announce = false
accept_joins = false
hold = 5
[[uplink]]
name = "wwan*"
family = "ipv6"
use = "never"
[[uplink]]
name = "wwan*"
use = "metered"
subflows = 3
[[rule]]
to = "198.51.100.0/24"
auth = "tls"
[[rule]]
listen = 443
auth = "keys"
scheduler = "redundant"
)");
  EXPECT_EQ(config.idle_timeout, std::chrono::seconds(1));
  EXPECT_EQ(config.cache_lifetime, std::chrono::hours(168));
  EXPECT_TRUE(config.IsClearPort(1));
  EXPECT_TRUE(config.IsClearPort(65535));
  EXPECT_FALSE(config.IsClearPort(80)) << "the list replaces the default";
  EXPECT_THAT(config.interfaces, ElementsAre("br0", "br1"));
  EXPECT_TRUE(config.ListenAllowed(At("192.0.2.1", 443)));
  EXPECT_FALSE(config.ListenAllowed(At("192.0.2.1", 444)));
  EXPECT_TRUE(config.ListenAllowed(At("::", 8443)));
  EXPECT_NE(config.BypassReason(At("10.255.255.255", 1), false, "curl"), "");
  EXPECT_NE(config.BypassReason(At("fd12::1", 443), false, "curl"), "");
  EXPECT_EQ(config.BypassReason(At("2001:db8::1", 443), false, "curl"), "");
  EXPECT_EQ(config.tcp, (TcpPolicy{CongestionAlgorithm::kNewReno, false, EcnMode::kAsk}));
  EXPECT_EQ(config.scheduler, SchedulerKind::kRoundRobin);
  EXPECT_EQ(config.send_buffer, 65536u);
  EXPECT_EQ(config.receive_buffer, 100'000'000u);
  EXPECT_EQ(config.token_server_id_bits, 4u);
  EXPECT_EQ(config.token_server_id, 15);
  EXPECT_EQ(config.syn_queue, 1u);
  EXPECT_EQ(config.max_orphans, 1000000u);
  EXPECT_EQ(config.max_time_waits, 77u);
  EXPECT_TRUE(config.paths.full_mesh);
  EXPECT_EQ(config.paths.max_subflows, 32u);
  EXPECT_EQ(config.paths.max_addresses, 0u);
  EXPECT_FALSE(config.paths.announce);
  EXPECT_FALSE(config.paths.accept_joins);
  EXPECT_EQ(config.paths.hold, std::chrono::seconds(5));
  ASSERT_EQ(config.uplinks.size(), 2u);
  EXPECT_TRUE(config.uplinks[0].never);
  EXPECT_EQ(config.uplinks[0].family, Family::kV6);
  EXPECT_EQ(config.uplinks[1].use, UplinkUse::kMetered);
  EXPECT_EQ(config.uplinks[1].subflows, 3u);
  EXPECT_EQ(config.AuthFor(At("198.51.100.7", 443), false, "curl"), AuthPolicy::kTls);
  EXPECT_EQ(config.AuthFor(At("198.51.100.7", 443), true, "curl"), AuthPolicy::kKeys);
  EXPECT_EQ(config.AuthFor(At("198.51.101.7", 443), false, "curl"), std::nullopt);
  EXPECT_EQ(config.SchedulerFor(At("198.51.100.7", 443), true, "curl"), SchedulerKind::kRedundant);
  EXPECT_EQ(config.SchedulerFor(At("198.51.100.7", 443), false, "curl"), std::nullopt);
}

// ---- Uplinks

LocalAddress Uplink(const std::string& name, const std::string& address) {
  return {IpAddress::Parse(address).value(), name};
}

TEST(Config, FirstUplinkRuleThatSaysSomethingDecides) {
  const std::vector<UplinkRule> rules = Parsed(R"(
uplink = [
  { name = "wwan*", family = "ipv6", use = "never" },
  { name = "wwan0", subflows = 2 },
  { name = "wwan?", use = "metered", subflows = 4 },
  { name = "*", use = "backup" },
]
)")
                                            .uplinks;
  EXPECT_EQ(ApplyRules(rules, Uplink("wwan0", "2001:db8::1")), std::nullopt);
  const auto first = ApplyRules(rules, Uplink("wwan0", "192.0.2.1"));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->use, UplinkUse::kMetered);
  EXPECT_EQ(first->subflows, 2u);
  const auto second = ApplyRules(rules, Uplink("wwan1", "192.0.2.1"));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->subflows, 4u);
  const auto other = ApplyRules(rules, Uplink("eth0", "2001:db8::1"));
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->use, UplinkUse::kBackup);
  EXPECT_EQ(other->subflows, 1u);
}

TEST(Config, UplinksWithoutRulesAreNormal) {
  const auto address = ApplyRules({}, Uplink("eth0", "192.0.2.1"));
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(*address, Uplink("eth0", "192.0.2.1"));
}

// What is said for the use of an interface is not undone by a later "never".
TEST(Config, LaterNeverIsTooLate) {
  const auto rules =
      Parsed("uplink = [{ name = \"eth0\", use = \"normal\" }, { name = \"*\", use = \"never\" }]")
          .uplinks;
  EXPECT_TRUE(ApplyRules(rules, Uplink("eth0", "192.0.2.1")).has_value());
  EXPECT_FALSE(ApplyRules(rules, Uplink("eth1", "192.0.2.1")).has_value());
}

TEST(Config, CongestionControlIsChosenByName) {
  EXPECT_EQ(Parsed("congestion = \"cubic\"").tcp.congestion, CongestionAlgorithm::kCubic);
  EXPECT_EQ(Parsed("congestion = \"lia\"").tcp.congestion, CongestionAlgorithm::kLia);
  EXPECT_EQ(Parsed("congestion = \"olia\"").tcp.congestion, CongestionAlgorithm::kOlia);
  EXPECT_EQ(Parsed("congestion = \"balia\"").tcp.congestion, CongestionAlgorithm::kBalia);
}

TEST(Config, EmptyListOfClearPortsMeansNone) {
  EXPECT_THAT(Parsed("clear_ports = []").clear_ports, IsEmpty());
}

TEST(Config, FirstRuleThatMatchesDecides) {
  const Config config = Parsed(R"(
rule = [
  { to = "192.0.2.1", auth = "tcp" },
  { to = "192.0.2.0/24", auth = "tls" },
  { to = 443, auth = "keys" },
  { to = "0.0.0.0/0", auth = "auto" },
]
)");
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 443), false, "curl"), AuthPolicy::kTcp);
  EXPECT_EQ(config.AuthFor(At("192.0.2.2", 443), false, "curl"), AuthPolicy::kTls);
  EXPECT_EQ(config.AuthFor(At("198.51.100.1", 443), false, "curl"), AuthPolicy::kKeys);
  EXPECT_EQ(config.AuthFor(At("198.51.100.1", 444), false, "curl"), AuthPolicy::kAuto);
  EXPECT_EQ(config.AuthFor(At("2001:db8::1", 444), false, "curl"), std::nullopt);
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 443), true, "curl"), std::nullopt)
      << "no rule for listeners";
}

TEST(Config, ARuleIsForAProgramByItsName) {
  const Config config = Parsed(R"(
rule = [
  { program = "curl", auth = "tls" },
  { program = "git*", to = "[2001:db8::/32]:443", auth = "keys" },
  { program = "ngin[x]", listen = 443, scheduler = "ecf" },
]
)");
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 1), false, "curl"), AuthPolicy::kTls);
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 1), true, "curl"), AuthPolicy::kTls) << "listeners too";
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 1), false, "curl2"), std::nullopt);
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 1), false, ""), std::nullopt);
  // All conditions of a rule must hold.
  EXPECT_EQ(config.AuthFor(At("2001:db8::1", 443), false, "git-remote-http"), AuthPolicy::kKeys);
  EXPECT_EQ(config.AuthFor(At("2001:db8::1", 443), true, "git-remote-http"), std::nullopt);
  EXPECT_EQ(config.AuthFor(At("2001:db8::1", 444), false, "git-remote-http"), std::nullopt);
  EXPECT_EQ(config.AuthFor(At("2001:db9::1", 443), false, "git-remote-http"), std::nullopt);
  EXPECT_EQ(config.AuthFor(At("2001:db8::1", 443), false, "ssh"), std::nullopt);
  EXPECT_EQ(config.SchedulerFor(At("192.0.2.1", 443), true, "nginx"), SchedulerKind::kEcf);
  EXPECT_EQ(config.SchedulerFor(At("192.0.2.1", 443), false, "nginx"), std::nullopt);
}

TEST(Config, TheFirstRuleThatSaysBypassDecides) {
  const Config config = Parsed(R"(
bypass = ["10.0.0.0/8"]
[[rule]]
program = "curl"
to = ":8443"
bypass = false
[[rule]]
program = "curl"
auth = "tls"
[[rule]]
program = "curl"
bypass = true
[[rule]]
program = "curl"
to = "10.0.0.1"
bypass = false
)");
  const auto reason = [&](const char* address, uint16_t port, const char* program) {
    return config.BypassReason(At(address, port), false, program);
  };
  EXPECT_EQ(reason("192.0.2.1", 443, "curl"), "bypassed by the rule in line 10 of /etc/test.toml");
  EXPECT_EQ(config.BypassReason(At("192.0.2.1", 443), true, "curl"),
            "bypassed by the rule in line 10 of /etc/test.toml");
  EXPECT_EQ(reason("192.0.2.1", 8443, "curl"), "");
  EXPECT_EQ(reason("192.0.2.1", 443, "wget"), "");
  EXPECT_EQ(reason("10.0.0.1", 8443, "curl"), "bypassed by the configuration") << "in any case";
  EXPECT_EQ(config.AuthFor(At("192.0.2.1", 8443), false, "curl"), AuthPolicy::kTls);
}

TEST(Config, MatchesAreWrittenInManyWays) {
  EXPECT_TRUE(Bypasses("443", "2001:db8::1", 443));
  EXPECT_FALSE(Bypasses("443", "2001:db8::1", 444));
  EXPECT_TRUE(Bypasses(":443", "192.0.2.1", 443));
  EXPECT_FALSE(Bypasses(":443", "192.0.2.1", 444));
  EXPECT_TRUE(Bypasses("10.0.0.1", "10.0.0.1", 1));
  EXPECT_FALSE(Bypasses("10.0.0.1", "10.0.0.2", 1));
  EXPECT_TRUE(Bypasses("10.0.0.1:443", "10.0.0.1", 443));
  EXPECT_FALSE(Bypasses("10.0.0.1:443", "10.0.0.1", 80));
  EXPECT_TRUE(Bypasses("10.0.0.0/8:443", "10.9.9.9", 443));
  EXPECT_TRUE(Bypasses("10.1.2.3/8", "10.200.0.1", 1))
      << "bits beyond the prefix count for nothing";
  EXPECT_TRUE(Bypasses("0.0.0.0/0", "203.0.113.1", 1));
  EXPECT_FALSE(Bypasses("0.0.0.0/0", "2001:db8::1", 1)) << "families are never mixed";
  EXPECT_TRUE(Bypasses("2001:db8::1", "2001:db8::1", 1));
  EXPECT_TRUE(Bypasses("2001:db8::/32", "2001:db8:ffff::1", 1));
  EXPECT_FALSE(Bypasses("2001:db8::/32", "2001:db9::1", 1));
  EXPECT_TRUE(Bypasses("[2001:db8::1]:443", "2001:db8::1", 443));
  EXPECT_FALSE(Bypasses("[2001:db8::1]:443", "2001:db8::1", 444));
  EXPECT_TRUE(Bypasses("[2001:db8::]/32", "2001:db8::9", 1));
  EXPECT_TRUE(Bypasses("[2001:db8::/32]:443", "2001:db8::9", 443));
  EXPECT_FALSE(Bypasses("[2001:db8::/32]:443", "2001:db8::9", 444));
  EXPECT_FALSE(Bypasses("[2001:db8::/32]:443", "2001:db9::9", 443));
  EXPECT_TRUE(Bypasses("::/0", "2001:db8::9", 1));
  EXPECT_TRUE(Bypasses("::ffff:10.0.0.0/104", "10.1.1.1", 1)) << "mapped is IPv4";
  EXPECT_FALSE(Bypasses("::ffff:10.0.0.0/104", "11.1.1.1", 1));
  EXPECT_TRUE(Bypasses("[::ffff:10.0.0.1]:443", "10.0.0.1", 443));
}

// ---- What is wrong with it

struct Wrong {
  const char* text;
  const char* place;  // line:column
  const char* cause;
};

TEST(Config, EveryErrorNamesItsPlaceAndARemedy) {
  const Wrong table[] = {
      {"send_buffer = 65535", "1:15", "a whole number from 65536 to 1073725440"},
      {"receive_buffer = 1073725441", "1:18", "a whole number from 65536 to 1073725440"},
      {"idle_timeout = 0", "1:16", "a whole number from 1 to 604800"},
      {"idle_timeout = 604801", "1:16", "a whole number from 1 to 604800"},
      {"idle_timeout = \"60\"", "1:16", "a whole number"},
      {"idle_timeout = 1.5", "1:16", "a whole number"},
      {"idle_timeout = true", "1:16", "a whole number"},
      {"idle_timeout = -9223372036854775808", "1:16", "a whole number"},
      {"\ncache_lifetime = []", "2:18", "a whole number from 1 to 604800"},
      {"clear_ports = 80", "1:15", "a list [ ... ]"},
      {"clear_ports = [80, 0]", "1:20", "a whole number from 1 to 65535"},
      {"clear_ports = [\n  80,\n  65536 ]", "3:3", "a whole number from 1 to 65535"},
      {"interfaces = [\"br0\", 1]", "1:22", "a text in quotes"},
      {"interfaces = \"br0\"", "1:14", "a list [ ... ]"},
      {"listen_allow = [\"\"]", "1:17", "\"192.0.2.1:443\""},
      {"bypass = [true]", "1:11", "\"192.0.2.1:443\""},
      {"bypass = [0]", "1:11", "a port, an address, a network"},
      {"bypass = [-443]", "1:11", "a port, an address, a network"},
      {"congestion = \"reno\"", "1:14",
       "one of \"balia\", \"cubic\", \"lia\", \"newreno\", \"olia\" is meant here"},
      {"scheduler = \"rr\"", "1:13",
       "one of \"blest\", \"ecf\", \"latency\", \"lowest-rtt\", \"redundant\", "
       "\"round-robin\" is meant here"},
      {"scheduler = 1", "1:13", "one of \"blest\", \"ecf\","},
      {"[[rule]]\nto = 443\nscheduler = \"BLEST\"", "3:13", "one of \"blest\", \"ecf\","},
      {"[[rule]]\nscheduler = \"ecf\"", "1:1", "[[rule]] with program, to or listen, and"},
      {"ecn = true", "1:7", "one of \"answer\", \"ask\", \"off\" is meant here"},
      {"pacing = 1", "1:10", "true or false is meant here"},
      {"token_server_id_bits = 0", "1:24", "a whole number from 1 to 16"},
      {"token_server_id_bits = 17", "1:24", "a whole number from 1 to 16"},
      {"token_server_id = 65536", "1:19", "a whole number from 0 to 65535"},
      {"token_server_id = 16\ntoken_server_id_bits = 4", "1:19", "a whole number from 0 to 15"},
      {"token_key_file = \"/etc/passwd\"", "1:18", "without token_server_id_bits"},
      {"token_server_id_bits = 4\ntoken_key_file = \"/nowhere\"", "2:18",
       "/nowhere: No such file or directory; made by: (umask 077; openssl rand -hex 16 > "
       "/nowhere)"},
      {"token_server_id_bits = 4\ntoken_key_file = \"/dev/null\"", "2:18", "not a file"},
      {"token_server_id_bits = 4\ntoken_key_file = \"/etc/passwd\"", "2:18",
       "others than its owner"},
      {"rule = 1", "1:8", "a list [ ... ]"},
      {"paths = 1", "1:9", "a table [paths]"},
      {"[paths]\nmesh = true", "2:8", "one of \"cover\", \"full\""},
      {"[paths]\nmax_subflows = 0", "2:16", "from 1 to 32"},
      {"[paths]\nmax_addresses = 65", "2:17", "from 0 to 64"},
      {"[paths]\nhold = 0", "2:8", "from 1 to"},
      {"[paths]\nsubflows = 1", "2:12", "known here are: accept_joins, announce"},
      {"uplink = [1]", "1:11", "[[uplink]] with name"},
      {"[[uplink]]\nname = \"eth0\"", "1:1", "and use or subflows"},
      {"[[uplink]]\nuse = \"backup\"", "1:1", "the name of its interface"},
      {"[[uplink]]\nname = \"eth0\"\nuse = \"off\"", "3:7",
       "one of \"backup\", \"metered\", \"never\", \"normal\""},
      {"[[uplink]]\nname = \"eth0\"\nfamily = 4", "3:10", "one of \"ipv4\", \"ipv6\""},
      {"[[uplink]]\nname = \"eth0\"\nsubflows = 33", "3:12", "from 1 to 32"},
      {"rule = [1]", "1:9", "[[rule]] with program, to or listen, and auth, scheduler"},
      {"[[rule]]\nto = 443", "1:1", "and auth, scheduler or bypass, is meant here"},
      {"[[rule]]\nauth = \"tls\"", "1:1", "[[rule]] with program, to or listen, and"},
      {"[[rule]]\nprogram = \"curl\"", "1:1", "and auth, scheduler or bypass, is meant here"},
      {"[[rule]]\nprogram = \"\"\nbypass = true", "2:11", "the name of a process"},
      {"[[rule]]\nprogram = 1\nbypass = true", "2:11", "a text in quotes"},
      {"[[rule]]\nprogram = \"/usr/bin/curl\"\nbypass = true", "2:11", "as /proc/PID/comm has it"},
      {"[[rule]]\nprogram = \"gnome-shell-calendar\"\nbypass = true", "2:11",
       "\"gnome-shell-cal\" is meant here"},
      {"[[rule]]\nprogram = \"curl\"\nbypass = 1", "3:10", "true or false"},
      {"[[rule]]\nto = \":0\"\nbypass = true", "2:6", "a port, an address, a network"},
      {"[[rule]]\nto = 443\nlisten = 443\nauth = \"tls\"", "1:1",
       "two rules are meant where both count"},
      {"[[rule]]\nto = 443\nauth = \"TLS\"", "3:8", "\"auto\", \"tls\", \"keys\" or \"tcp\""},
      {"[[rule]]\nto = 443\nauth = 1", "3:8", "\"auto\", \"tls\", \"keys\" or \"tcp\""},
      {"[[rule]]\nfrom = 443", "2:8",
       "unknown key \"from\"; known here are: auth, bypass, listen, program, scheduler, to"},
      {"\n\nidle_timout = 5", "3:15", "unknown key \"idle_timout\"; known here are: bypass, "},
      {"[engine]\nidle_timeout = 5", "1:1", "unknown key \"engine\""},
      {"idle_timeout = 5\nidle_timeout = 6", "2:", "idle_timeout"},
      {"idle_timeout = ", "1:", ""},
      {"= 5", "1:", ""},
      {"bypass = [\"10.0.0.0/8\"", "1:", ""},
  };
  for (const Wrong& wrong : table) {
    EXPECT_THAT(ErrorOf(wrong.text),
                AllOf(StartsWith(std::string(kFile) + ":" + wrong.place), HasSubstr(wrong.cause)))
        << wrong.text;
  }
}

TEST(Config, HostileMatchesAreRefused) {
  for (const char* text : {"0",
                           "65536",
                           "99999999999999999999",
                           "-1",
                           "+443",
                           " 443",
                           "443 ",
                           "0x1bb",
                           "10.0.0.1:",
                           "10.0.0.1:0",
                           "10.0.0.1:65536",
                           "10.0.0.1:443:1",
                           ":",
                           ":0",
                           ":443:",
                           ":65536",
                           "10.0.0.0/33",
                           "10.0.0.0/",
                           "10.0.0.0/-1",
                           "10.0.0.0/8/8",
                           "10.0.0",
                           "256.0.0.1",
                           "[::1",
                           "[]",
                           "[]:443",
                           "[::1]443",
                           "[::1]1",
                           "[::1]:",
                           "[::1]:0",
                           "[::1]:443x",
                           "::1]:443",
                           "[[::1]]",
                           "::/129",
                           "fe80::1%lo",
                           "[::1]/32:443",
                           "example.com",
                           "*",
                           "/",
                           "[",
                           "]",
                           "::ffff:0.0.0.0/8"}) {
    EXPECT_THAT(ErrorOf("bypass = [\"" + std::string(text) + "\"]"), HasSubstr("is meant here"))
        << text;
  }
}

// Whatever the bytes, an answer comes and an error has its place.
TEST(Config, AnyBytesGetAnAnswer) {
  const uint64_t seed = 20250611;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  const std::string good =
      "idle_timeout = 5\nbypass = [\"[fd00::]/8\", 443]\n[[rule]]\nto = \"10.0.0.1:443\"\n"
      "auth = \"tls\"\n";
  for (int round = 0; round < 3000; ++round) {
    std::string text = good;
    for (size_t changes = 1 + dice() % 4; changes > 0; --changes) {
      const size_t at = dice() % text.size();
      if (dice() % 2 == 0)
        text[at] = static_cast<char>(dice());
      else
        text.erase(at, 1 + dice() % 8);
    }
    std::string error;
    if (ParseConfig(text, kFile, &error)) continue;
    EXPECT_THAT(error, testing::ContainsRegex("^/etc/test\\.toml:[0-9]+:[0-9]+: .")) << text;
  }
}

TEST(Config, DeepNestingIsAnError) {
  EXPECT_THAT(ErrorOf("bypass = " + std::string(100000, '[')), StartsWith(kFile));
}

// ---- Where it comes from

class ConfigFile : public testing::Test {
 protected:
  ConfigFile() { EXPECT_NE(mkdtemp(folder_), nullptr); }
  ~ConfigFile() override {
    unlink(Path().c_str());
    rmdir(folder_);
  }
  std::string Path() const { return std::string(folder_) + "/file"; }
  std::string error_;

 private:
  char folder_[32] = "/tmp/mptcptls-config-XXXXXX";
};

TEST_F(ConfigFile, MissingIsAnErrorOnlyWhenAskedFor) {
  const auto config = LoadConfig(Path(), false, &error_);
  ASSERT_TRUE(config.has_value()) << error_;
  EXPECT_EQ(config->file, "");
  EXPECT_FALSE(LoadConfig(Path(), true, &error_).has_value());
  EXPECT_THAT(error_, AllOf(HasSubstr(Path()), HasSubstr("No such file"), HasSubstr("correct")));
}

TEST_F(ConfigFile, TokenKeyIsReadFromAFileOfItsOwn) {
  const std::string text =
      "token_server_id_bits = 4\ntoken_server_id = 3\ntoken_key_file = \"" + Path() + "\"";
  std::ofstream(Path()) << "000102030405060708090a0b0c0d0e0F\n";
  EXPECT_THAT(ErrorOf(text), HasSubstr("others than its owner have rights to it"));
  ASSERT_EQ(chmod(Path().c_str(), 0600), 0);
  const auto key = Parsed(text).token_key;
  ASSERT_TRUE(key.has_value());
  EXPECT_THAT(*key, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (const char* wrong :
       {"", "\n", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f00",
        " 00102030405060708090a0b0c0d0e0"}) {
    std::ofstream(Path()) << wrong;
    EXPECT_THAT(ErrorOf(text), HasSubstr("not 32 hexadecimal digits")) << wrong;
    EXPECT_THAT(ErrorOf(text), testing::Not(HasSubstr("0102"))) << "a key must not be shown";
  }
}

TEST_F(ConfigFile, IsRead) {
  std::ofstream(Path()) << "idle_timeout = 7\n";
  const auto config = LoadConfig(Path(), false, &error_);
  ASSERT_TRUE(config.has_value()) << error_;
  EXPECT_EQ(config->file, Path());
  EXPECT_EQ(config->idle_timeout, std::chrono::seconds(7));
}

TEST_F(ConfigFile, FolderAndGiantAreRefused) {
  EXPECT_FALSE(LoadConfig("/tmp", true, &error_).has_value());
  EXPECT_THAT(error_, HasSubstr("/tmp cannot be read"));
  std::ofstream(Path()) << std::string((1 << 20) + 1, '#');
  EXPECT_FALSE(LoadConfig(Path(), true, &error_).has_value());
  EXPECT_THAT(error_, HasSubstr("larger than a megabyte"));
}

TEST_F(ConfigFile, AsLargeAsAllowedIsRead) {
  std::ofstream(Path()) << std::string(1 << 20, '#');
  EXPECT_TRUE(LoadConfig(Path(), true, &error_).has_value()) << error_;
}

}  // namespace
}  // namespace mptcptls
