#include "tests/sim/random_scenario.h"

#include <cmath>

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

// Between low and high, small values as likely as large ones.
uint64_t LogUniform(Rng& rng, uint64_t low, uint64_t high) {
  uint64_t octaves = 0;
  while ((low << octaves) < high) ++octaves;
  const uint64_t base = low << rng.Below(octaves + 1);
  return std::min(high, base + rng.Below(base));
}

Duration Milliseconds(Rng& rng, int64_t low, int64_t high) {
  return std::chrono::microseconds(rng.Between(low * 1000, high * 1000));
}

LinkConfig RandomLink(Rng& rng) {
  LinkConfig link;
  link.delay = std::chrono::microseconds(LogUniform(rng, 100, 100'000));
  if (!rng.Chance(0.1)) link.rate = LogUniform(rng, 2'000'000, 500'000'000);
  link.queue_bytes = LogUniform(rng, 20'000, 1'000'000);
  if (rng.Chance(0.5)) link.loss = static_cast<double>(rng.Below(rng.Chance(0.2) ? 80 : 20)) / 1000;
  if (rng.Chance(0.2)) link.duplicate = static_cast<double>(rng.Below(100)) / 1000;
  if (rng.Chance(0.3)) {
    link.reorder = static_cast<double>(rng.Below(100)) / 1000;
    link.reorder_delay = Milliseconds(rng, 0, 10);
  }
  if (rng.Chance(0.3)) link.jitter = Milliseconds(rng, 0, 10);
  if (rng.Chance(0.3)) link.mtu = static_cast<uint32_t>(rng.Between(1280, 1500));
  if (rng.Chance(0.3)) link.gro = 50us;
  if (rng.Chance(0.2)) {
    link.offload = true;
    link.queue_bytes = std::max<size_t>(link.queue_bytes, 200'000);  // a 64 KiB packet must fit
  }
  link.complete_checksums = !rng.Chance(0.2);
  return link;
}

ProgramPlan RandomProgram(Rng& rng) {
  ProgramPlan plan;
  plan.send_bytes = rng.Chance(0.1) ? rng.Below(3) : LogUniform(rng, 1, 1 << 21);
  if (rng.Chance(0.1)) {
    plan.read_chunk = LogUniform(rng, 1000, 100'000);
    plan.read_interval = Milliseconds(rng, 1, 20);
  }
  if (rng.Chance(0.1)) {
    plan.read_pause_at = Milliseconds(rng, 0, 1000);
    plan.read_pause = Milliseconds(rng, 0, 10'000);
  }
  if (rng.Chance(0.1)) {
    plan.write_chunk = LogUniform(rng, 100, 100'000);
    plan.write_interval = Milliseconds(rng, 0, 20);
    plan.send_bytes = std::min<uint64_t>(plan.send_bytes, plan.write_chunk * 500);
  }
  if (plan.read_chunk != 0) {
    plan.send_bytes = std::min<uint64_t>(plan.send_bytes, plan.read_chunk * 500);
  }
  if (rng.Chance(0.2)) plan.key_delay = Milliseconds(rng, 0, 4000);
  if (rng.Chance(0.05)) plan.refuse_keys = true;
  if (rng.Chance(0.05)) plan.wrong_key = rng.Next();
  return plan;
}

// Both may wait for the other only if the other does not.
void RandomEndings(Rng& rng, Exchange* e, bool* aborts) {
  switch (rng.Below(8)) {
    case 0:
      e->client.ending = Ending::kShutdownAfterPeer;
      break;
    case 1:
      e->server.ending = Ending::kShutdownAfterPeer;
      break;
    case 2: {
      ProgramPlan& p = rng.Chance(0.5) ? e->client : e->server;
      p.ending = static_cast<Ending>(rng.Between(static_cast<int>(Ending::kAbortAfterSending),
                                                 static_cast<int>(Ending::kAbortAfterPeer)));
      p.abort_after = rng.Below(1 << 20);
      *aborts = true;
      break;
    }
    case 3:
      (rng.Chance(0.5) ? e->client : e->server).ending = Ending::kOrphanWhenSent;
      *aborts = true;
      break;
    default:
      break;
  }
}

void RandomPolicies(Rng& rng, Scenario* s) {
  if (rng.Chance(0.6)) return;
  static constexpr AuthPolicy kPolicies[] = {AuthPolicy::kAuto, AuthPolicy::kTls, AuthPolicy::kKeys,
                                             AuthPolicy::kTcp};
  s->connect = ConnectAs(kPolicies[rng.Below(4)], rng.Chance(0.7));
  s->listen = ListenAs(kPolicies[rng.Below(4)], rng.Chance(0.7));
}

void RandomHosts(Rng& rng, Scenario* s) {
  for (HostConfig* c : {&s->client_config, &s->server_config}) {
    if (rng.Chance(0.1)) c->segmentation = false;
    if (rng.Chance(0.1)) c->checksum = true;
    if (rng.Chance(0.3)) c->send_buffer = LogUniform(rng, 65536, 4 << 20);
    if (rng.Chance(0.3)) c->receive_buffer = LogUniform(rng, 16384, 6 << 20);
  }
}

// A middlebox on the first path, at most; installed before the first SYN.
std::function<void(World&)> RandomMiddlebox(Rng& rng) {
  const uint64_t kind = rng.Below(40);
  const uint64_t where = rng.Below(3);
  const auto which = [where](const TcpView& p) {
    return where == 0 || (where == 1 ? p.has(kSyn) : !p.has(kSyn));
  };
  switch (kind) {
    case 0:
      return [which](World& w) { w.up(0).AddMiddlebox(StripMptcp(which)); };
    case 1:
      return [which](World& w) { w.down(0).AddMiddlebox(StripMptcp(which)); };
    case 2:
      return [which](World& w) {
        w.up(0).AddMiddlebox(StripMptcp(which));
        w.down(0).AddMiddlebox(StripMptcp(which));
      };
    case 3:
      return [](World& w) { w.up(0).AddMiddlebox(DropMptcp(IsSyn)); };
    case 4:
      return [](World& w) { w.up(0).AddMiddlebox(StripSackPermitted()); };
    case 5:
    case 6:
      return [](World& w) {
        w.up(0).AddMiddlebox(Split(600));
        w.down(0).AddMiddlebox(Split(700));
      };
    case 7:
      return [](World& w) {
        const EchoPair pair = EchoMpCapable();
        w.up(0).AddMiddlebox(pair.towards_server);
        w.down(0).AddMiddlebox(pair.towards_client);
      };
    default:
      return {};
  }
}

// Failures that pass: a silent hole of a few seconds on any path; addresses that go and come on
// the further ones, and where `anywhere` on the first one too.
void RandomFailures(Rng& rng, Scenario* s, bool anywhere) {
  const uint64_t count = rng.Chance(0.6) ? 0 : 1 + rng.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t path = rng.Below(s->paths.size());
    const Duration from = Milliseconds(rng, 0, 6000), to = from + Milliseconds(rng, 1, 4000);
    switch (rng.Below(4)) {
      case 0:
        if (path == 0 && !anywhere) break;
        s->events.push_back({from, [path](World& w) { w.client().SetUplinkUp(path, false); }});
        s->events.push_back({to, [path](World& w) { w.client().SetUplinkUp(path, true); }});
        break;
      case 1:
        if (path == 0 && !anywhere) break;
        s->events.push_back({from, [path](World& w) { w.server().SetUplinkUp(path, false); }});
        s->events.push_back({to, [path](World& w) { w.server().SetUplinkUp(path, true); }});
        break;
      case 2:
        s->events.push_back({from, [path](World& w) { w.up(path).set_black_hole(true); }});
        s->events.push_back({to, [path](World& w) { w.up(path).set_black_hole(false); }});
        break;
      default:
        s->events.push_back(
            {from, [path](World& w) { w.client().uplink(path).set_black_hole(true); }});
        s->events.push_back(
            {to, [path](World& w) { w.client().uplink(path).set_black_hole(false); }});
        break;
    }
  }
}

}  // namespace

Scenario RandomScenario(uint64_t seed) {
  Rng rng(Mix(seed));
  Scenario s;
  s.name = "seed_" + std::to_string(seed);
  s.family = rng.Chance(0.5) ? Family::kV4 : Family::kV6;
  s.paths.resize(1 + rng.Below(3));
  for (PathPlan& path : s.paths) {
    path.up = RandomLink(rng);
    if (rng.Chance(0.5)) {
      path.down = RandomLink(rng);
      path.down->mtu = path.up.mtu;  // one interface has one MTU
    }
  }
  s.mesh = rng.Chance(0.2);
  s.wildcard = rng.Chance(0.8);
  RandomPolicies(rng, &s);
  RandomHosts(rng, &s);
  bool aborts = false;
  s.exchanges.resize(1 + rng.Below(rng.Chance(0.1) ? 10 : 3));
  for (Exchange& e : s.exchanges) {
    e.client = RandomProgram(rng);
    e.server = RandomProgram(rng);
    e.client.tls = e.server.tls = rng.Chance(0.9);
    if (rng.Chance(0.3)) e.start = Milliseconds(rng, 0, 5000);
    RandomEndings(rng, &e, &aborts);
  }
  s.prepare = RandomMiddlebox(rng);
  const bool first_path_too = rng.Chance(0.2);
  RandomFailures(rng, &s, first_path_too);
  s.budget = 600s;
  if (aborts || first_path_too) {
    // A reset that is lost is not repeated: who waits for its sender in silence waits until his own
    // patience ends, as with any TCP.
    s.events.push_back({500s, [](World& w) {
                          for (size_t i = 0; i < w.pair_count(); ++i) {
                            SimProgram &c = *w.pair(i).client, &d = *w.pair(i).server;
                            if (c.closed() != d.closed()) {
                              (c.closed() ? d : c).AbortNow(w.simulator().now());
                            }
                          }
                        }});
    s.expect.client_end = s.expect.server_end = std::nullopt;
    s.expect.delivered = false;
  }
  return s;
}

}  // namespace mptcptls::sim
