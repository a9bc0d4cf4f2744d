// The variable wins over the rules, and they over the default.
#include "engine/scheduler_choice.h"

#include <gtest/gtest.h>

#include <string>

namespace mptcptls {
namespace {

TEST(SchedulerChoice, VariableThenRuleThenDefault) {
  std::string error;
  const auto config = ParseConfig(R"(
scheduler = "ecf"
[[rule]]
to = 443
auth = "tls"
[[rule]]
to = 443
scheduler = "blest"
[[rule]]
listen = 443
scheduler = "redundant"
auth = "keys"
)",
                                  "test.toml", &error);
  ASSERT_TRUE(config) << error;
  EXPECT_EQ(config->scheduler, SchedulerKind::kEcf);
  const Endpoint https{*IpAddress::Parse("192.0.2.1"), 443};
  const Endpoint other{*IpAddress::Parse("192.0.2.1"), 444};
  const auto choose = [&](const Endpoint& endpoint, bool listen, control::Scheduler asked) {
    return ChooseScheduler(*config, endpoint, listen, "curl", asked);
  };
  const auto none = control::Scheduler::kNotGiven;
  EXPECT_EQ(choose(https, false, none), SchedulerKind::kBlest) << "a rule without is passed over";
  EXPECT_EQ(config->AuthFor(https, false, "curl"), AuthPolicy::kTls);
  EXPECT_EQ(choose(https, true, none), SchedulerKind::kRedundant);
  EXPECT_EQ(config->AuthFor(https, true, "curl"), AuthPolicy::kKeys);
  EXPECT_EQ(choose(other, false, none), std::nullopt) << "the host's default";
  EXPECT_EQ(choose(https, false, control::Scheduler::kLatency), SchedulerKind::kLatency);
  EXPECT_EQ(choose(https, false, static_cast<control::Scheduler>(77)), SchedulerKind::kBlest);
}

TEST(SchedulerChoice, EachCanBeAskedFor) {
  const Config config;
  const Endpoint any{*IpAddress::Parse("192.0.2.1"), 443};
  uint8_t asked = 0;
  for (const auto& [name, kind] : kSchedulerNames) {
    EXPECT_EQ(ChooseScheduler(config, any, true, "curl", static_cast<control::Scheduler>(++asked)),
              kind);
  }
}

}  // namespace
}  // namespace mptcptls
