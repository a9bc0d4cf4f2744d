// The scenario language: what its statements become, and what is said of lines that are wrong.
#include "tests/sim/scenario_text.h"

#include <gmock/gmock.h>

#include "tests/sim/random_scenario.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Scenario Parsed(const std::string& text) {
  std::string error;
  const auto parsed = ParseScenario("test", text, &error);
  EXPECT_TRUE(parsed) << error;
  return parsed ? parsed->scenario : Scenario{};
}

std::string ErrorOf(const std::string& text) {
  std::string error;
  EXPECT_FALSE(ParseScenario("test", text, &error)) << text;
  return error;
}

std::vector<std::string> FailuresOf(const std::string& text) {
  World world(Parsed(text), 1);
  return world.Run();
}

TEST(ScenarioText, NothingIsOnePathAndOneExchange) {
  const Scenario s = Parsed("");
  EXPECT_THAT(s.paths, SizeIs(1));
  EXPECT_THAT(s.exchanges, SizeIs(1));
  EXPECT_TRUE(s.exchanges[0].client.tls);
  EXPECT_FALSE(s.prepare);
}

TEST(ScenarioText, RemarksAndEmptyLinesMeanNothing) {
  EXPECT_EQ(Parsed("\n  # a remark\n\nwithin 7s  # and one here\n").budget, 7s);
}

TEST(ScenarioText, PropertiesOfAPath) {
  const Scenario s = Parsed(
      "path delay 1.5ms rate 10M queue 64Ki mtu 1400 loss 1% duplicate 0.02 reorder 3% by 4ms "
      "jitter 5us scatter 6us offload yes checksums partial gro 50us\n"
      "  down delay 2s loss 0\n");
  ASSERT_THAT(s.paths, SizeIs(1));
  const LinkConfig& up = s.paths[0].up;
  EXPECT_EQ(up.delay, 1500us);
  EXPECT_EQ(up.rate, 10'000'000u);
  EXPECT_EQ(up.queue_bytes, 65536u);
  EXPECT_EQ(up.mtu, 1400u);
  EXPECT_DOUBLE_EQ(up.loss, 0.01);
  EXPECT_DOUBLE_EQ(up.duplicate, 0.02);
  EXPECT_DOUBLE_EQ(up.reorder, 0.03);
  EXPECT_EQ(up.reorder_delay, 4ms);
  EXPECT_EQ(up.jitter, 5us);
  EXPECT_EQ(up.scatter, 6us);
  EXPECT_TRUE(up.offload);
  EXPECT_FALSE(up.complete_checksums);
  EXPECT_EQ(up.gro, 50us);
  // The way back is like the way there, but for what is said of it.
  ASSERT_TRUE(s.paths[0].down);
  EXPECT_EQ(s.paths[0].down->delay, 2s);
  EXPECT_EQ(s.paths[0].down->loss, 0);
  EXPECT_EQ(s.paths[0].down->rate, 10'000'000u);
}

TEST(ScenarioText, HostsAndPolicies) {
  const Scenario s = Parsed(
      "host both checksum yes\nhost server receive-buffer 20k segmentation no scheduler ecf\n"
      "policy client tls\npolicy server keys unhooked\nlisten first\nmesh\ndual-stack\n");
  EXPECT_TRUE(s.client_config.checksum);
  EXPECT_TRUE(s.server_config.checksum);
  EXPECT_TRUE(s.client_config.segmentation);
  EXPECT_FALSE(s.server_config.segmentation);
  EXPECT_EQ(s.server_config.receive_buffer, 20'000u);
  EXPECT_EQ(s.server_config.scheduler, SchedulerKind::kEcf);
  EXPECT_EQ(s.client_config.scheduler, SchedulerKind::kLowestRtt);
  EXPECT_EQ(s.connect.auth, AuthPolicy::kTls);
  EXPECT_TRUE(s.connect.tls_hooked);
  EXPECT_EQ(s.listen.auth, AuthPolicy::kKeys);
  EXPECT_FALSE(s.listen.tls_hooked);
  EXPECT_FALSE(s.wildcard);
  EXPECT_TRUE(s.mesh);
  EXPECT_TRUE(s.dual_stack);
}

TEST(ScenarioText, ProgramsOfAnExchange) {
  const Scenario s = Parsed(
      "exchange start 1s times 3 tls no\n"
      "  client sends 2k reads 100 every 5ms pauses at 1s for 2s writes 50 every 1ms\n"
      "  server sends 1Mi keys after 3s ends abort-after-sending 700\n"
      "exchange\n"
      "  client keys wrong 9 ends after-peer\n");
  ASSERT_THAT(s.exchanges, SizeIs(4));
  const Exchange& e = s.exchanges[2];
  EXPECT_EQ(e.start, 1s);
  EXPECT_FALSE(e.client.tls);
  EXPECT_EQ(e.client.send_bytes, 2000u);
  EXPECT_EQ(e.client.read_chunk, 100u);
  EXPECT_EQ(e.client.read_interval, 5ms);
  EXPECT_EQ(e.client.read_pause_at, 1s);
  EXPECT_EQ(e.client.read_pause, 2s);
  EXPECT_EQ(e.client.write_chunk, 50u);
  EXPECT_EQ(e.server.key_delay, 3s);
  EXPECT_EQ(e.server.ending, Ending::kAbortAfterSending);
  EXPECT_EQ(e.server.abort_after, 700u);
  EXPECT_EQ(s.exchanges[3].client.wrong_key, 9u);
  EXPECT_EQ(s.exchanges[3].client.ending, Ending::kShutdownAfterPeer);
  EXPECT_TRUE(s.exchanges[3].client.tls);
}

TEST(ScenarioText, ExpectationsAreChecked) {
  EXPECT_THAT(FailuresOf("within 5s\nexpect counter rto_fired exactly 0"), IsEmpty());
  EXPECT_THAT(FailuresOf("within 5s\nexpect counter packets_in at-most 3"),
              ElementsAre(HasSubstr("packets_in is")));
  EXPECT_THAT(FailuresOf("within 5s\nexpect mode tcp"), testing::Not(IsEmpty()));
  EXPECT_THAT(FailuresOf("within 5s\nexpect client reset"),
              ElementsAre(HasSubstr("expected: reset")));
}

TEST(ScenarioText, BoxesLossesAndEventsReachTheNetwork) {
  World world(Parsed("path delay 10ms\npath delay 10ms\n"
                     "box all both split 500\n"
                     "lose 0 up syn 0\n"
                     "at 2s set 1 down loss 5%\n"
                     "at 3s hole 1 up begin\n"
                     "at 4s hole 1 up end\n"
                     "client sends 100k\nwithin 20s"),
              1);
  EXPECT_THAT(world.Run(), IsEmpty());
  EXPECT_EQ(world.up(0).stats().lost_packets, 1u);
  EXPECT_DOUBLE_EQ(world.down(1).config().loss, 0.05);
  EXPECT_EQ(world.up(1).config().loss, 0);
}

TEST(ScenarioText, ErrorsNameTheLineTheCauseAndTheRemedy) {
  EXPECT_EQ(ErrorOf("path\n\nwithin soon\n"),
            "test:3: 'soon' is no budget; write a number and its unit, one of: ns us ms s");
  EXPECT_THAT(ErrorOf("pth delay 1ms"), HasSubstr("test:1: 'pth' is no statement; one of: seed"));
  EXPECT_THAT(ErrorOf("path dela 1ms"),
              HasSubstr("'dela' is no property of a link; one of: delay"));
  EXPECT_THAT(ErrorOf("path delay"), HasSubstr("the line ends where delay should be; add it"));
  EXPECT_THAT(ErrorOf("path delay 10"), HasSubstr("'10' is no delay"));
  EXPECT_THAT(ErrorOf("path loss 2"), HasSubstr("above one"));
  EXPECT_THAT(ErrorOf("path mtu 100"), HasSubstr("out of range for MTU; from 576"));
  EXPECT_THAT(ErrorOf("path reorder 1% 2ms"), HasSubstr("write 'by'"));
  EXPECT_THAT(ErrorOf("mesh yes"), HasSubstr("'yes' is too much"));
  EXPECT_THAT(ErrorOf("down delay 1ms"), HasSubstr("'down' before any path"));
  EXPECT_THAT(ErrorOf("path\ndown mtu 1400"), HasSubstr("one MTU"));
  EXPECT_THAT(ErrorOf("path\nbox 1 up split 5"), HasSubstr("test:2: 1 is out of range"));
  EXPECT_THAT(ErrorOf("box 0 sideways split 5"), HasSubstr("'sideways' is no direction"));
  EXPECT_THAT(ErrorOf("box 0 up nat"), HasSubstr("needs both directions"));
  EXPECT_THAT(ErrorOf("box 0 up shred 5"), HasSubstr("'shred' is no middlebox"));
  EXPECT_THAT(ErrorOf("box 0 up split 0"), HasSubstr("out of range"));
  EXPECT_THAT(ErrorOf("box 0 up strip sak"), HasSubstr("'sak' is no option"));
  EXPECT_THAT(ErrorOf("lose 0 up data"), HasSubstr("no packet is lost"));
  EXPECT_THAT(ErrorOf("lose 0 up data 9-3"), HasSubstr("'9-3' is no number of packets"));
  EXPECT_THAT(ErrorOf("lose 0 up everything 1"), HasSubstr("'everything' is no kind of packet"));
  EXPECT_THAT(ErrorOf("at 1s explode"), HasSubstr("'explode' is no event"));
  EXPECT_THAT(ErrorOf("at -1s rebind 0"), HasSubstr("'-1s' is no time"));
  EXPECT_THAT(ErrorOf("client sends x"), HasSubstr("'x' is no number of bytes"));
  EXPECT_THAT(ErrorOf("client sings"), HasSubstr("'sings' is no property of a program"));
  EXPECT_THAT(ErrorOf("exchange times 0"), HasSubstr("out of range"));
  EXPECT_THAT(ErrorOf("expect happiness"), HasSubstr("'happiness' is no expectation"));
  EXPECT_THAT(ErrorOf("expect counter x at-least 1"), HasSubstr("'x' is no counter"));
  EXPECT_THAT(ErrorOf("policy both yes"), HasSubstr("'yes' is no policy"));
  EXPECT_THAT(ErrorOf("host both colour red"), HasSubstr("'colour' is no property of a host"));
  EXPECT_THAT(ErrorOf("host both congestion reno"), HasSubstr("'reno' is no algorithm"));
  EXPECT_THAT(ErrorOf("exchange plain maybe"), HasSubstr("'maybe'"));
  EXPECT_THAT(ErrorOf("bottleneck width 3"), HasSubstr("'width' is no property of a link"));
  EXPECT_THAT(ErrorOf("seed 99999999999999999999"), HasSubstr("is no seed"));
}

TEST(ScenarioText, AFileThatIsNotThereIsNamed) {
  std::string error;
  EXPECT_FALSE(LoadScenario("/nowhere/at.scenario", &error));
  EXPECT_THAT(error, HasSubstr("/nowhere/at.scenario: cannot be read"));
}

// What --print gives runs the same packets as the seed itself.
TEST(ScenarioText, ASeedsTextIsTheSeed) {
  for (const uint64_t seed : {3u, 14u, 15u}) {
    std::string error;
    const auto text = ParseScenario("printed", RandomScenarioText(seed), &error);
    ASSERT_TRUE(text) << error;
    EXPECT_EQ(text->seed, seed);
    World printed(text->scenario, text->seed);
    const ScenarioText drawn = RandomScenario(seed);
    World world(drawn.scenario, drawn.seed);
    printed.Run();
    world.Run();
    EXPECT_EQ(printed.simulator().trace().hash(), world.simulator().trace().hash());
  }
}

}  // namespace
}  // namespace mptcptls::sim
