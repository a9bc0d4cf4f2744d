// From the engine's JSON (kStatus: every key that it ever has) to text.
#include "engine/command_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/command_status_text.h"
#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr char kStatus[] = R"json({
 "engine": {"pid": 4711, "version": "0.1.0", "uptime_s": 3725.5, "config": "/etc/mptcptls.toml",
            "installed": ["TUN device mptcptls0", "nftables table netdev mptcptls"],
            "idle_timeout_s": 60},
 "uplinks": [{"interface": "l1", "address": "10.9.1.1", "mtu": 1500, "running": true,
              "use": "normal, 2 subflows"},
             {"interface": "l2", "address": "10.9.2.1", "mtu": 9000, "running": false,
              "use": "metered"}],
 "listeners": [{"address": "0.0.0.0:443", "program": "nginx", "pid": 12, "uid": 0,
                "captured": true, "reason": "", "auth": "auto", "waiting": 0, "accepted": 12},
               {"address": "[::]:8080", "program": "python3", "pid": 1234, "uid": 1000,
                "captured": false, "reason": "the firewall may drop input (listen_allow)",
               "auth" : "tls", "waiting" : 3, "accepted" : 0
}],
 "connections": [{"id": "00112233445566aa", "program": "curl", "pid": 99, "uid": 0,
   "role": "initiator", "local": "10.9.1.1:61000", "remote": "10.9.1.2:443", "mode": "tls-auth",
   "scheduler": "blest", "key": "present", "peer_key": "confirmed", "keys_replaced": 2, "state": "connected", "end": "", "fallback": false, "age_s": 1.2,
   "bytes_sent": 1234, "bytes_received": 67108864, "bytes_reinjected": 2048,
   "subflows": [
    {"local": "10.9.1.1:61000", "remote": "10.9.1.2:443", "uplink": "l1", "state": "established",
     "joined_by": "mp_capable", "authenticated_by": "none", "backup": false, "stale": false,
     "bytes_sent": 1000, "bytes_received": 49000, "retransmitted_bytes": 0, "srtt_us": 12345,
     "cwnd": 10, "mss": 1400},
    {"local": "10.9.2.1:61001", "remote": "10.9.1.2:443", "uplink": "l2", "state": "established",
     "joined_by": "mp_join", "authenticated_by": "tls key", "backup": true, "stale": true,
     "bytes_sent": 0, "bytes_received": 50000, "retransmitted_bytes": 1400, "srtt_us": 0,
     "cwnd": 10, "mss": 1400}],
   "unused_paths": [{"local": "10.9.3.1", "remote": "10.9.1.2:443", "reason": "no route"}]}],
 "closed": [{"id": "00112233445566bb", "program": "nginx", "pid": 12, "uid": 33,
   "role": "responder", "local": "10.9.1.1:443", "remote": "10.9.9.9:5000", "mode": "tcp",
   "scheduler": "", "key": "none", "peer_key": "not confirmed", "keys_replaced": 0, "state": "closed", "end": "reset", "fallback": true, "age_s": 60,
   "bytes_sent": 1, "bytes_received": 2, "bytes_reinjected": 0, "subflows": [],
   "unused_paths": []}],
 "cache": [{"local": "10.9.1.1", "remote": "10.9.1.2:443", "capability": "tls-auth", "confirms_keys": true,
            "expires_s": 599.5}],
 "counters": {
  "MPCapableSYNTX" : 3, "RstTX" : 18446744073709551615
}
})json";

std::string TextOf(const json& status, const StatusTextOptions& options = {}) {
  const auto text = StatusText(status.dump(), options);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

TEST(CommandStatus, EverythingHasItsPlace) {
  EXPECT_EQ(TextOf(json::parse(kStatus)),
            R"(engine: pid 4711, version 0.1.0, up 1 h 02 min, ends after 1 min 00 s without use
configuration: /etc/mptcptls.toml
installed on this host
  TUN device mptcptls0
  nftables table netdev mptcptls
uplinks
  INTERFACE  ADDRESS    MTU  STATE  USE
  l1         10.9.1.1  1500  up     normal, 2 subflows
  l2         10.9.2.1  9000  down   metered
listeners
  ADDRESS      PROGRAM         UID  AUTH  ACCEPTED  WAITING  CAPTURED
  0.0.0.0:443  nginx[12]         0  auto        12        0  yes
  [::]:8080    python3[1234]  1000  tls          0        3  no: the firewall may drop input (listen_allow)
connections
  curl[99] 10.9.1.1:61000 -> 10.9.1.2:443
    connected, tls-auth, key present, replaced 2 times, the peer's confirmed, scheduler blest, sent 1.2 KiB, received 64.0 MiB, reinjected 2.0 KiB, age 1.2 s, uid 0, id 00112233445566aa
    UPLINK  LOCAL           REMOTE          SENT  RECEIVED  SHARE      RTT  ADMITTED BY       STATE
    l1      10.9.1.1:61000  10.9.1.2:443  1000 B  47.9 KiB    50%  12.3 ms  mp_capable        established
    l2      10.9.2.1:61001  10.9.1.2:443     0 B  48.8 KiB    50%        -  mp_join, tls key  established, backup, stale, 1.4 KiB resent
    not used: 10.9.3.1 to 10.9.1.2:443: no route
closed
  nginx[12] 10.9.1.1:443 <- 10.9.9.9:5000, reset, tcp (fell back), no key, 0 subflows, sent 1 B, received 2 B
)");
}

TEST(CommandStatus, AllAddsTheCacheAndTheCounters) {
  const json status = json::parse(kStatus);
  EXPECT_THAT(TextOf(status), Not(HasSubstr("MPCapableSYNTX")));
  const std::string all = TextOf(status, {.all = true});
  EXPECT_THAT(all, HasSubstr("tls-auth, confirms keys    9 min 59 s\n"));
  EXPECT_THAT(all, HasSubstr("RstTX           18446744073709551615\n"));
}

TEST(CommandStatus, TheCacheAloneIsATable) {
  const auto text = CacheText(kStatus, 0);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, R"(what peers are known to speak
  LOCAL     REMOTE        CAPABILITY               FORGOTTEN IN
  10.9.1.1  10.9.1.2:443  tls-auth, confirms keys    9 min 59 s
)");
  EXPECT_FALSE(CacheText("{}", 0).ok());
}

TEST(CommandStatus, OnlyTheLastClosedConnectionsAreShown) {
  json status = json::parse(kStatus);
  const json one = status["closed"][0];
  status["closed"].clear();
  for (int i = 0; i < 14; ++i) {
    status["closed"].push_back(one);
    status["closed"].back()["pid"] = 100 + i;
  }
  const std::string text = TextOf(status);
  EXPECT_THAT(text, HasSubstr("the last 10 of 14 (--all shows all)"));
  EXPECT_THAT(text, Not(HasSubstr("nginx[103]")));
  EXPECT_THAT(text, HasSubstr("nginx[104]"));
  EXPECT_THAT(TextOf(status, {.all = true}), HasSubstr("nginx[100]"));
}

TEST(CommandStatus, AnEngineWithoutWorkSaysSo) {
  json status = json::parse(kStatus);
  for (const char* const list : {"uplinks", "listeners", "connections", "closed"})
    status[list] = json::array();
  status["engine"]["config"] = "";
  const std::string text = TextOf(status);
  EXPECT_THAT(text, HasSubstr("uplinks: none\nlisteners: none\nconnections: none\nclosed: none\n"));
  EXPECT_THAT(text, Not(HasSubstr("configuration")));
}

TEST(CommandStatus, ANarrowTerminalGetsNoLongerLines) {
  for (const size_t columns : {1, 20, 40, 80, 100}) {
    std::istringstream lines(TextOf(json::parse(kStatus), {.columns = columns, .all = true}));
    for (std::string line; std::getline(lines, line);) {
      const bool one_word = line.find(' ', line.find_first_not_of(' ')) == std::string::npos;
      EXPECT_TRUE(line.size() <= columns || one_word) << columns << ": " << line;
    }
  }
}

TEST(CommandStatus, AProgramsNameCannotCommandTheTerminal) {
  json status = json::parse(kStatus);
  status["connections"][0]["program"] =
      "a\x1b[2J\r\nb\xc2\x9b"
      "c\x7f";
  EXPECT_THAT(TextOf(status), HasSubstr("a?[2J??b?c?[99]"));
}

TEST(CommandStatus, CutAnywhereItIsAnError) {
  const std::string whole = json::parse(kStatus).dump();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(StatusText(whole.substr(0, size), {}).ok()) << size;
}

// Every value, however deep, replaced by values of all types: text or an error, no crash.
TEST(CommandStatus, ValuesOfAnyTypeDoNotCrash) {
  const json status = json::parse(kStatus);
  const json others[] = {nullptr,
                         true,
                         -1,
                         1e308,
                         -1e308,
                         "text",
                         json::array({nullptr}),
                         json::object(),
                         std::numeric_limits<uint64_t>::max()};
  int errors = 0;
  const json flat = status.flatten();
  for (const auto& [path, value] : flat.items()) {
    for (const json& other : others) {
      for (json::json_pointer place(path); !place.empty(); place.pop_back()) {
        json changed = status;
        changed[place] = other;
        for (const bool all : {false, true})
          errors += StatusText(changed.dump(), {.columns = 60, .all = all}).ok() ? 0 : 1;
      }
    }
  }
  EXPECT_GT(errors, 0);
}

TEST(CommandStatus, AMissingKeyIsAnErrorThatNamesIt) {
  json status = json::parse(kStatus);
  status["engine"].erase("version");
  EXPECT_THAT(std::string(StatusText(status.dump(), {}).status().message()),
              HasSubstr("key 'version' not found"));
}

TEST(CommandStatus, NestingWithoutEndIsAnError) {
  EXPECT_FALSE(StatusText(std::string(1'000'000, '['), {}).ok());
  EXPECT_FALSE(StatusText("\xff\xfe", {}).ok());
  EXPECT_FALSE(StatusText("", {}).ok());
}

TEST(CommandText, Units) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(std::numeric_limits<uint64_t>::max()), "16.0 EiB");
  EXPECT_EQ(HumanSeconds(-1), "0.0 s");
  EXPECT_EQ(HumanSeconds(59.97), "0 min 59 s");
  EXPECT_EQ(HumanSeconds(3600), "1 h 00 min");
  EXPECT_EQ(HumanSeconds(86400 * 3 + 3600 * 4), "3 d 4 h");
  EXPECT_EQ(HumanMicroseconds(80), "80 us");
  EXPECT_EQ(HumanMicroseconds(12'345), "12.3 ms");
  EXPECT_EQ(HumanMicroseconds(1'250'000), "1.2 s");
}

TEST(CommandText, WrapCutsNoWord) {
  EXPECT_EQ(Wrap("aa bb cccccccccc dd", 1, 6), " aa bb\n   cccccccccc\n   dd\n");
  EXPECT_EQ(Wrap("", 0, 6), "\n");
}

}  // namespace
}  // namespace mptcptls::command
