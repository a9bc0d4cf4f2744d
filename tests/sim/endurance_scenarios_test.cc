// What a host must bear: links that blink, peers that never read, too little memory, handshakes
// that fail.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

Scenario Base(const std::string& name, uint64_t server_bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].server.send_bytes = server_bytes;
  return s;
}

// Plain TCP has no other path: its only one comes back with its address.
std::vector<Scenario> BlinkCatalogue() {
  std::vector<Scenario> all;
  for (const bool at_client : {true, false}) {
    Scenario s =
        Base(at_client ? "tcp_client_address_goes_and_comes" : "tcp_server_address_goes_and_comes",
             20 << 20);
    s.connect = ConnectAs(AuthPolicy::kTcp, false);
    s.expect.mode = Mode::kTcp;
    for (const bool up : {false, true}) {
      s.events.push_back({up ? 3s : 1s, [at_client, up](World& w) {
                            (at_client ? w.client() : w.server()).SetUplinkUp(0, up);
                          }});
    }
    s.budget = 20s;
    all.push_back(s);
  }
  // MPTCP that has no key yet is in the same place.
  Scenario keyless = Base("client_address_goes_and_comes_before_the_keys", 20 << 20);
  keyless.exchanges[0].client.key_delay = keyless.exchanges[0].server.key_delay = 5s;
  keyless.expect.mode = Mode::kTlsAuth;
  for (const bool up : {false, true}) {
    keyless.events.push_back({up ? 3s : 1s, [up](World& w) { w.client().SetUplinkUp(0, up); }});
  }
  keyless.budget = 30s;
  all.push_back(keyless);
  return all;
}

// The server's program has gone, and the client never reads the rest.
std::vector<Scenario> OrphanCatalogue() {
  std::vector<Scenario> all;
  for (const AuthPolicy auth : {AuthPolicy::kAuto, AuthPolicy::kTcp}) {
    const bool tcp = auth == AuthPolicy::kTcp;
    Scenario s =
        Base(tcp ? "nobody_reads_from_an_orphan_tcp" : "nobody_reads_from_an_orphan", 200'000);
    s.connect = ConnectAs(auth, !tcp);
    s.client_config.receive_buffer = 65536;
    s.exchanges[0].client.read_pause_at = 500ms;
    s.exchanges[0].client.read_pause = 10h;
    s.exchanges[0].server.write_chunk = 100'000;
    s.exchanges[0].server.write_interval = 600ms;
    s.exchanges[0].server.ending = Ending::kOrphanWhenSent;
    s.budget = 400s;
    s.expect.server_end = EndReason::kAborted;
    s.expect.client_end = EndReason::kReset;
    s.expect.delivered = false;
    all.push_back(s);
    // One that reads slowly, but reads, gets everything, however long it takes.
    Scenario slow =
        Base(tcp ? "orphan_with_a_slow_reader_tcp" : "orphan_with_a_slow_reader", 1 << 20);
    slow.connect = s.connect;
    slow.client_config.receive_buffer = 65536;
    slow.exchanges[0].client.read_chunk = 65536;
    slow.exchanges[0].client.read_interval = 50s;
    slow.exchanges[0].server.ending = Ending::kOrphanWhenSent;
    slow.budget = 2000s;
    all.push_back(slow);
  }
  return all;
}

// A closed window is probed now and then, not as fast as the path goes, and what comes all the same
// is not taken in.
std::vector<Scenario> ClosedWindowCatalogue() {
  std::vector<Scenario> all;
  for (const AuthPolicy auth : {AuthPolicy::kTls, AuthPolicy::kTcp}) {
    const bool tcp = auth == AuthPolicy::kTcp;
    Scenario s = Base(tcp ? "closed_window_is_probed_seldom_tcp" : "closed_window_is_probed_seldom",
                      1 << 20);
    s.connect = ConnectAs(auth, !tcp);
    s.expect.mode = tcp ? Mode::kTcp : Mode::kTlsAuth;
    s.client_config.receive_buffer = 65536;
    s.client_config.max_blocks = 4;
    s.exchanges[0].client.read_pause_at = 100ms;
    s.exchanges[0].client.read_pause = 120s;
    auto sent = std::make_shared<uint64_t>(0);
    s.events = {
        {2s, [sent](World& w) { *sent = w.server().host().counters().packets_out; }},
        {115s, [sent](World& w) { *sent = w.server().host().counters().packets_out - *sent; }}};
    s.check = [sent](World&, std::vector<std::string>* failures) {
      if (*sent > 40) failures->push_back(std::to_string(*sent) + " packets into a closed window");
    };
    s.budget = 150s;
    all.push_back(s);
  }
  return all;
}

// Sixteen blocks for everybody, and clients that do not read for a while.
std::vector<Scenario> MemoryCatalogue() {
  std::vector<Scenario> all;
  const auto make = [](const std::string& name, int idle, Duration pause) {
    Scenario s = Base(name, 0);
    s.server_config.max_blocks = 16;
    s.client_config.receive_buffer = 65536;
    s.exchanges.clear();
    for (int i = 0; i <= idle; ++i) {
      Exchange e;
      e.server.send_bytes = 3 << 20;
      if (i < idle) {
        e.client.read_pause_at = 300ms;  // its TLS handshake is done
        e.client.read_pause = pause;
      } else {
        e.start = 5s;
        e.server.send_bytes = 1 << 20;
      }
      s.exchanges.push_back(e);
    }
    s.budget = pause + 20s;
    return s;
  };
  // One does not read: the other is served at once.
  Scenario fair = make("a_client_that_does_not_read_starves_nobody", 1, 60s);
  fair.check = [](World& w, std::vector<std::string>* failures) {
    if (w.pair(1).client->finished_at() > Time(10s)) failures->push_back("served too late");
  };
  all.push_back(fair);
  // Clients were promised more than there is, and their programs do not read: nobody is reset.
  Scenario promised = make("more_is_promised_than_there_is", 6, 20s);
  promised.server_config = promised.client_config = {};
  promised.client_config.max_blocks = 64;
  promised.budget = 60s;
  all.push_back(promised);
  for (Exchange& e : promised.exchanges) e.client.tls = e.server.tls = false;
  promised.name += "_tcp";
  promised.connect = ConnectAs(AuthPolicy::kTcp, false);
  all.push_back(promised);
  // All memory is out before the last one comes: it is served when there is some again.
  all.push_back(make("memory_is_out_and_comes_back", 12, 30s));
  return all;
}

// Flags of the MP_CAPABLE on each first SYN (9: keys from TLS, 1: keys in clear).
std::vector<Scenario> FailedHandshakeCatalogue() {
  std::vector<Scenario> all;
  const auto make = [](const std::string& name, const ProgramPlan& client,
                       const ProgramPlan& server) {
    Scenario s = Base(name, 0);
    s.exchanges.clear();
    for (const Duration start : {0s, 5s}) {
      Exchange e;
      e.client = client;
      e.server = server;
      e.start = start;
      s.exchanges.push_back(e);
    }
    auto offers = std::make_shared<std::vector<int>>();
    s.prepare = [offers](World& w) {
      offers->clear();
      w.up(0).AddLossPattern([offers](const TcpView& p, uint64_t) {
        if (p.has(kSyn))
          offers->push_back(p.FindMptcp(kMpCapable).size() == 4 ? p.FindMptcp(kMpCapable)[3] : -1);
        return false;
      });
    };
    s.check = [offers](World&, std::vector<std::string>* failures) {
      if (*offers != std::vector<int>{9, 9}) failures->push_back("TLS was given up");
    };
    s.expect.client_end = s.expect.server_end = std::nullopt;
    s.expect.delivered = false;
    s.budget = 300s;
    return s;
  };
  // A certificate that is not accepted: both say goodbye, and no key ever comes.
  ProgramPlan no_key;
  no_key.key_delay = 10h;
  all.push_back(make("handshake_that_fails_is_no_absence_of_tls", no_key, no_key));
  // Whoever is on the way can cut a connection: that proves nothing.
  ProgramPlan cut, other;
  cut.tls = other.tls = false;
  cut.send_bytes = other.send_bytes = 100'000;
  cut.ending = Ending::kAbortAfterReceiving;
  cut.abort_after = 1000;
  all.push_back(make("reset_is_no_absence_of_tls", cut, other));
  return all;
}

SCENARIO_SUITE(Blink, BlinkCatalogue);
SCENARIO_SUITE(Orphan, OrphanCatalogue);
SCENARIO_SUITE(ClosedWindow, ClosedWindowCatalogue);
SCENARIO_SUITE(Memory, MemoryCatalogue);
SCENARIO_SUITE(FailedHandshake, FailedHandshakeCatalogue);

}  // namespace
}  // namespace mptcptls::sim
