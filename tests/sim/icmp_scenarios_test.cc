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
  return all;
}

SCENARIO_SUITE(IcmpErrors, ErrorCatalogue);

}  // namespace
}  // namespace mptcptls::sim
