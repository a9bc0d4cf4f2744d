// ICMP errors in the life of a connection (RFC 5461, RFC 6069).
#include "tests/sim/hop.h"
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 500'000}; }

Scenario Base(const std::string& name, const Hop& hop, uint64_t bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.exchanges[0].client.send_bytes = s.exchanges[0].server.send_bytes = bytes;
  s.prepare = hop.Preparation();
  return s;
}

Event Route(Duration at, const Hop& hop, bool there) {
  return {at, [hop, there](World&) { hop.up->no_route = hop.down->no_route = !there; }};
}

// The kernel below the client says so: nobody answers for the next hop of these.
Event NextHopFails(Duration at, std::function<bool(World&, const FourTuple&)> through) {
  return {at, [through = std::move(through)](World& w) {
            w.client().host().NextHopFailed(
                w.simulator().now(), [&](const FourTuple& tuple) { return through(w, tuple); });
          }};
}

// A host that is not there: attempts to connect go on until it is their own way of which the kernel
// says so.
Scenario SilentNextHop() {
  Scenario s = Base("next_hop_that_does_not_answer_ends_a_connection_attempt", Hop(), 10);
  s.prepare = [](World& w) { w.up(0).set_black_hole(true); };
  s.exchanges.push_back(s.exchanges[0]);
  s.events = {NextHopFails(3s, [](World&, const FourTuple&) { return false; }),
              {3100ms,
               [](World& w) {
                 for (const size_t i : {0u, 1u})
                   EXPECT_FALSE(w.pair(i).client->closed()) << "none of its business";
               }},
              NextHopFails(3200ms, [](World& w, const FourTuple& tuple) {
                return tuple.remote == w.Target() && tuple.local.address == w.ClientAddress(0);
              })};
  s.expect = {.mode = {},
              .client_end = EndReason::kUnreachable,
              .server_end = {},
              .subflows = {},
              .delivered = false};
  s.budget = 3300ms;
  return s;
}

// A second path that leads nowhere costs the first nothing, which is up whatever the kernel says of
// its next hop, and is joined when it leads somewhere.
Scenario SilentNextHopOfASecondPath() {
  Scenario s = Base("next_hop_of_a_second_path_does_not_answer", Hop(), 0);
  s.paths.push_back(s.paths[0]);
  s.prepare = [](World& w) { w.up(1).set_black_hole(true); };
  s.exchanges[0].server.send_bytes = 64 * kMiB;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  const auto second = [](World& w, bool tried) {
    const auto info = w.pair(0).client->connection()->Info(w.simulator().now());
    ASSERT_EQ(info.subflows.size(), tried ? 2u : 1u) << "its SYN is not sent again";
    if (tried) {
      EXPECT_EQ(info.subflows[1].tuple.local.address, w.ClientAddress(1));
    }
    EXPECT_EQ(info.unused_paths.size(), tried ? 0u : 1u) << "back-off";
  };
  s.events = {{890ms, [second](World& w) { second(w, true); }},
              NextHopFails(900ms, [](World&, const FourTuple&) { return true; }),
              {910ms, [second](World& w) { second(w, false); }},
              {1500ms, [](World& w) { w.up(1).set_black_hole(false); }}};
  s.expect.mode = Mode::kTlsAuth;
  s.expect.least_share = 0.2;
  s.budget = 15s;
  return s;
}

std::vector<Scenario> ErrorCatalogue() {
  std::vector<Scenario> all;
  const Expectation fails = {
      .mode = {}, .client_end = {}, .server_end = {}, .subflows = {}, .delivered = false};
  const Hop deaf;
  deaf.up->no_port = true;
  Scenario refused = Base("port_unreachable_refuses", deaf, 10);
  refused.expect = fails;
  refused.expect.client_end = EndReason::kRefused;
  refused.budget = 100ms;
  all.push_back(refused);

  const Hop gone;
  gone.up->no_route = true;
  Scenario unreachable = Base("host_unreachable_ends_a_connection_attempt", gone, 10);
  unreachable.expect = fails;
  unreachable.expect.client_end = EndReason::kUnreachable;
  unreachable.budget = 100ms;
  all.push_back(unreachable);

  // The retransmission timer does not back off while routers say that a link is down, so it goes
  // on at once when it is back. Without that the next retransmission is up to 25 s away.
  const Hop outage;
  Scenario back = Base("outage_that_routers_tell_of", outage, 8 * kMiB);
  back.events = {Route(500ms, outage, false), Route(40s, outage, true)};
  back.budget = 45s;
  back.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::rto_reverted) > 50, "no back-off was reverted");
    Wants(failures, w.completed() > Time(40s), "it was over before the outage");
  };
  all.push_back(back);

  const Hop lost;
  Scenario ends = Base("outage_that_does_not_end", lost, 8 * kMiB);
  ends.events = {Route(500ms, lost, false)};
  ends.expect = fails;
  ends.expect.client_end = ends.expect.server_end = EndReason::kUnreachable;
  ends.budget = 1400s;
  all.push_back(ends);
  all.push_back(SilentNextHop());
  all.push_back(SilentNextHopOfASecondPath());
  return all;
}

SCENARIO_SUITE(IcmpErrors, ErrorCatalogue);

}  // namespace
}  // namespace mptcptls::sim
