// Path MTU discovery: a router between the hosts whose next link takes less than the interface, and
// that says so, says it badly, or says nothing.
#include "tests/sim/hop.h"
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 20'000'000}; }

Scenario Base(const std::string& name, const Hop& hop, uint64_t bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.exchanges[0].client.send_bytes = s.exchanges[0].server.send_bytes = bytes;
  s.prepare = hop.Preparation();
  s.expect.mode = Mode::kTlsAuth;
  s.expect.subflows = 1;
  return s;
}

// The payload of the largest packet that a program's subflow sends now.
uint32_t Mtu(const SimProgram& program, Family family) {
  const uint32_t headers = (family == Family::kV4 ? 20 : 40) + 20 + 40;
  return program.final_info().subflows.at(0).tcp.mss + headers;
}

std::vector<Scenario> ToldCatalogue() {
  std::vector<Scenario> all;
  // 2 MiB take 0.35 s each way; a round trip is lost, and no window.
  for (uint32_t mtu : {1440u, 1400u, 1280u}) {
    const Hop hop(mtu);
    Scenario s = Base("icmp_tells_" + std::to_string(mtu), hop, 2 * kMiB);
    s.budget = 1s;
    s.expect.no_timeout = true;
    s.check = [hop, mtu](World& w, std::vector<std::string>* failures) {
      Wants(failures, hop.dropped() > 0, "nothing was too big: the scenario tests nothing");
      Wants(failures, w.Sum(&Counters::mtu_reduced) == 2, "not one reduction on each side");
      Wants(failures, w.Sum(&Counters::fast_recoveries) == 0, "taken for congestion");
      for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
        Wants(failures, Mtu(*p, w.scenario().family) == mtu,
              p->name() + " uses " + std::to_string(Mtu(*p, w.scenario().family)));
      }
    };
    all.push_back(s);
  }
  const Hop shrinking;
  Scenario shrinks = Base("shrinks_in_the_middle", shrinking, 4 * kMiB);
  shrinks.events = {shrinking.At(400ms, 1300)};
  shrinks.budget = 1500ms;
  shrinks.expect.no_timeout = true;
  shrinks.check = [shrinking](World& w, std::vector<std::string>* failures) {
    Wants(failures, shrinking.dropped() > 0, "nothing was too big: the scenario tests nothing");
    Wants(failures, w.Sum(&Counters::mtu_reduced) == 2, "not one reduction on each side");
    Wants(failures, w.Sum(&Counters::fast_recoveries) == 0, "taken for congestion");
  };
  all.push_back(shrinks);
  // RFC 1191 6.3: after ten minutes the path may be better.
  for (const bool filtered : {false, true}) {
    const Hop changing(65535, filtered ? Router::Icmp::kFiltered : Router::Icmp::kTells);
    Scenario grows =
        Base(filtered ? "shrinks_and_grows_back_filtered" : "shrinks_and_grows_back", changing, 0);
    for (ProgramPlan* p : {&grows.exchanges[0].client, &grows.exchanges[0].server}) {
      p->send_bytes = 160 * kMiB;
      p->write_chunk = 100'000;
      p->write_interval = 500ms;
    }
    grows.events = {changing.At(20s, 1350), changing.At(60s, 1500)};
    grows.budget = 900s;
    grows.check = [changing](World& w, std::vector<std::string>* failures) {
      Wants(failures, changing.dropped() > 0, "nothing was too big: the scenario tests nothing");
      for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
        Wants(failures, Mtu(*p, w.scenario().family) == 1500,
              p->name() + " uses " + std::to_string(Mtu(*p, w.scenario().family)));
      }
    };
    all.push_back(grows);
  }
  return all;
}

std::vector<Scenario> FilteredCatalogue() {
  std::vector<Scenario> all;
  for (const bool segmentation : {true, false}) {
    const Hop hop(1420, Router::Icmp::kFiltered);
    Scenario s =
        Base(segmentation ? "black_hole" : "black_hole_without_segmentation", hop, 4 * kMiB);
    s.client_config.segmentation = s.server_config.segmentation = segmentation;
    s.budget = 4s;
    s.check = [hop](World& w, std::vector<std::string>* failures) {
      Wants(failures, hop.dropped() > 0, "nothing was too big: the scenario tests nothing");
      Wants(failures, w.Sum(&Counters::mtu_black_holes) == 2, "not one black hole on each side");
      Wants(failures, w.Sum(&Counters::mtu_probes_delivered) > 0, "no probe was delivered");
      Wants(failures, w.Sum(&Counters::mtu_probes_lost) > 0, "no probe was lost");
      // One before anything could be known; no lost probe is taken for congestion.
      Wants(failures, w.Sum(&Counters::fast_recoveries) <= 2, "taken for congestion");
      for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
        const uint32_t found = Mtu(*p, w.scenario().family);
        Wants(failures, found > 1420 - PathMtu::kGranularity && found <= 1420,
              p->name() + " found " + std::to_string(found));
      }
    };
    all.push_back(s);
  }
  // A path that is only dead for a while is not taken for one with a small MTU for long.
  Scenario dead = Base("dead_for_a_while", Hop(), 8 * kMiB);
  dead.events = {{400ms, [](World& w) { w.client().uplink(0).set_black_hole(true); }},
                 {2400ms, [](World& w) { w.client().uplink(0).set_black_hole(false); }}};
  dead.budget = 8s;
  dead.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::mtu_black_holes) > 0, "no black hole was suspected");
    Wants(failures, w.Sum(&Counters::mtu_probes_lost) == 0, "probes were lost");
    for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
      Wants(failures, Mtu(*p, w.scenario().family) == 1500,
            p->name() + " stays at " + std::to_string(Mtu(*p, w.scenario().family)));
    }
  };
  all.push_back(dead);
  // The second connection knows: it loses nothing and waits for nothing.
  const Hop again(1400, Router::Icmp::kFiltered);
  Scenario second = Base("next_connection_knows", again, kMiB);
  Exchange later = second.exchanges[0];
  later.start = 10s;
  second.exchanges.push_back(later);
  second.budget = 11s;
  auto before = std::make_shared<uint64_t>(0);
  auto timeouts = std::make_shared<uint64_t>(0);
  second.events = {{9900ms, [=](World& w) {
                      *before = again.dropped();
                      *timeouts = w.Sum(&Counters::rto_fired);
                    }}};
  second.check = [=](World& w, std::vector<std::string>* failures) {
    Wants(failures, *before > 0, "the first one met no black hole: the scenario tests nothing");
    Wants(failures, again.dropped() == *before, "the second one sent too large packets");
    Wants(failures, w.Sum(&Counters::rto_fired) == *timeouts, "the second one waited");
  };
  all.push_back(second);
  return all;
}

SCENARIO_SUITE(PathMtuTold, ToldCatalogue);
SCENARIO_SUITE(PathMtuFiltered, FilteredCatalogue);

// RFC 1191 5: a router that does not tell its MTU; the plateaus find it.
TEST(PathMtuOld, RouterWithoutMtu) {
  const Hop hop(1100, Router::Icmp::kWithoutMtu);
  Scenario s = Base("plateaus", hop, 2 * kMiB);
  s.budget = 1s;
  s.expect.no_timeout = true;
  s.check = [hop](World& w, std::vector<std::string>* failures) {
    Wants(failures, hop.dropped() > 0, "nothing was too big: the scenario tests nothing");
    // 1006 is the next below what is sent.
    Wants(failures, w.Sum(&Counters::mtu_reduced) == 2, "not one reduction on each side");
    for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
      Wants(failures, Mtu(*p, Family::kV4) == 1006,
            p->name() + " uses " + std::to_string(Mtu(*p, Family::kV4)));
    }
  };
  RunScenario(s, Family::kV4);
}

}  // namespace
}  // namespace mptcptls::sim
