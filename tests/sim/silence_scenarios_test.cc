// What is left when nobody speaks any more: TIME-WAIT, peers that vanish while nothing is sent
// (keepalive, user timeout), connections whose program is gone.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint8_t kTimestampKind = 8;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

Scenario Base(const std::string& name, uint64_t client_bytes, uint64_t server_bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.exchanges[0].client.send_bytes = client_bytes;
  s.exchanges[0].server.send_bytes = server_bytes;
  return s;
}

std::vector<Scenario> InAllModes(const Scenario& scenario) {
  std::vector<Scenario> all(3, scenario);
  all[1].name += "_keys";
  all[1].connect.auth = AuthPolicy::kKeys;
  all[2].name += "_tcp";
  all[2].connect.auth = AuthPolicy::kTcp;
  return all;
}

// ---- TIME-WAIT

// The server ends first, and the client comes back from the same port two seconds later.
Scenario ComesBack(const std::string& name) {
  Scenario s = Base(name, 1000, 200'000);
  s.connect = ConnectAs(AuthPolicy::kTcp, false);
  s.connect.local_port = 5000;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges.push_back(s.exchanges[0]);
  s.exchanges[1].start = 2s;
  s.budget = 4s;
  return s;
}

std::vector<Scenario> ReuseCatalogue() {
  std::vector<Scenario> all;
  for (const bool timestamps : {true, false}) {
    Scenario s = ComesBack(timestamps ? "port_is_used_again_in_time_wait"
                                      : "port_is_used_again_in_time_wait_without_timestamps");
    struct Seen {
      uint32_t last = 0;  // of the server's sequence numbers
      std::vector<uint32_t> syn_acks;
    };
    auto seen = std::make_shared<Seen>();
    s.prepare = [seen, timestamps](World& w) {
      *seen = {};
      if (!timestamps) {
        w.up(0).AddMiddlebox([](Packet packet, std::vector<Packet>* out) {
          const auto view = TcpView::Of(packet.bytes);
          if (view && view->has(kSyn)) {
            const auto option = view->FindOption(kTimestampKind);
            std::fill(option.begin(), option.end(), uint8_t{1});
            Seal(&packet);
          }
          out->push_back(std::move(packet));
        });
      }
      w.down(0).AddLossPattern([seen](const TcpView& p, uint64_t) {
        if (p.has(kSyn | kAck)) seen->syn_acks.push_back(p.seq());
        if (p.has(kFin)) seen->last = p.seq() + static_cast<uint32_t>(p.payload().size());
        if (p.has(kSyn | kAck) && seen->syn_acks.size() == 2) {
          const uint32_t above = p.seq() - seen->last;
          if (above == 0 || above > 1u << 30) seen->syn_acks.push_back(0);
        }
        return false;
      });
    };
    s.check = [seen](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.server().host().counters().time_wait_reused == 1, "not counted");
      Wants(failures, seen->syn_acks.size() == 2, "the second ISN is not above the first stream");
    };
    all.push_back(s);
  }
  // A copy of the first SYN turns up when all is over.
  Scenario old = Base("old_syn_does_not_end_time_wait", 1000, 1000);
  old.connect = ConnectAs(AuthPolicy::kTcp, false);
  old.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  struct Copy {
    Packet syn;
    uint64_t sent_before = 0, sent_after = 0;
    size_t connections = 0;
  };
  auto copy = std::make_shared<Copy>();
  old.prepare = [copy](World& w) {
    *copy = {};
    w.up(0).AddMiddlebox([copy](Packet packet, std::vector<Packet>* out) {
      const auto view = TcpView::Of(packet.bytes);
      if (view && view->has(kSyn) && copy->syn.bytes.empty()) copy->syn = packet;
      out->push_back(std::move(packet));
    });
    w.simulator().queue().At(Time(5s), [copy, &w] {
      copy->sent_before = w.server().host().counters().packets_out;
      w.up(0).Send(copy->syn);
    });
    w.simulator().queue().At(Time(6s), [copy, &w] {
      copy->sent_after = w.server().host().counters().packets_out;
      copy->connections = w.server().host().connection_count();
    });
  };
  old.check = [copy](World& w, std::vector<std::string>* failures) {
    w.simulator().RunUntil([] { return false; }, Time(7s));
    Wants(failures, copy->sent_after == copy->sent_before + 1, "not answered by one ACK");
    Wants(failures, copy->connections == 1, "TIME-WAIT is over");
    Wants(failures, w.server().host().counters().time_wait_reused == 0, "opened anew");
  };
  all.push_back(old);
  // Ten connections end, four may wait: the others leave, and their peers notice nothing.
  Scenario bound = Base("time_waits_are_bounded", 1000, 1000);
  bound.connect = ConnectAs(AuthPolicy::kTcp, false);
  bound.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  bound.exchanges.resize(10, bound.exchanges[0]);
  bound.server_config.max_time_waits = 4;
  bound.check = [](World& w, std::vector<std::string>* failures) {
    w.simulator().RunFor(1s);
    const size_t left = w.server().host().connection_count();
    Wants(failures, left == 4, std::to_string(left) + " in TIME-WAIT");
    Wants(failures, w.server().host().counters().time_wait_overflow == 6, "not counted");
    Wants(failures, w.Sum(&Counters::resets_sent) == 0, "a RST");
  };
  all.push_back(bound);
  return all;
}

// ---- Silence

Patience Alert() {
  return {.keepalive = true, .idle = 10s, .interval = 2s, .probes = 3, .user_timeout = 0s};
}

std::vector<Scenario> KeepaliveCatalogue() {
  std::vector<Scenario> all;
  // The client only reads; its peer vanishes. Without keepalive it would wait for ever.
  Scenario vanishes = Base("keepalive_finds_a_peer_that_vanished", 1000, 2000);
  vanishes.connect.stream.patience = Alert();
  vanishes.exchanges[0].server.write_chunk = 1000;
  vanishes.exchanges[0].server.write_interval = 1h;
  vanishes.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
  vanishes.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  vanishes.events = {{1s, [](World& w) { w.client().uplink(0).set_black_hole(true); }},
                     {25s, [](World& w) { w.pair(0).server->AbortNow(w.simulator().now()); }}};
  vanishes.expect.client_end = EndReason::kTimedOut;
  vanishes.expect.server_end = EndReason::kAborted;
  vanishes.expect.delivered = false;
  vanishes.budget = 26s;
  for (const Scenario& s : InAllModes(vanishes)) all.push_back(s);
  // It is there and has nothing to say.
  Scenario idle = Base("keepalive_leaves_a_silent_peer_alone", 1000, 2000);
  idle.connect.stream.patience = Alert();
  idle.exchanges[0].server.write_chunk = 1000;
  idle.exchanges[0].server.write_interval = 100s;
  idle.budget = 110s;
  idle.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::keepalive_probes) >= 8, "no probes");
    Wants(failures, w.Sum(&Counters::keepalive_timeouts) == 0, "given up");
  };
  for (const Scenario& s : InAllModes(idle)) all.push_back(s);
  // One of two paths dies without a word while nothing is sent: it alone is given up.
  Scenario path = idle;
  path.name = "keepalive_finds_a_path_that_died";
  path.paths = {{.up = Wire(), .down = {}}, {.up = Wire(), .down = {}}};
  path.exchanges[0].server.write_interval = 30s;
  path.events = {{1s, [](World& w) { w.client().uplink(1).set_black_hole(true); }}};
  path.budget = 40s;
  path.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.client().host().counters().keepalive_timeouts == 1, "not found");
  };
  all.push_back(path);
  return all;
}

std::vector<Scenario> UserTimeoutCatalogue() {
  std::vector<Scenario> all;
  Scenario data = Base("user_timeout_bounds_unacknowledged_data", 8 << 20, 1000);
  data.connect.stream.patience.user_timeout = 5s;
  data.events = {{500ms, [](World& w) { w.client().uplink(0).set_black_hole(true); }},
                 {7s, [](World& w) { w.pair(0).server->AbortNow(w.simulator().now()); }}};
  data.expect.client_end = EndReason::kTimedOut;
  data.expect.server_end = EndReason::kAborted;
  data.expect.delivered = false;
  data.budget = 8s;
  for (const Scenario& s : InAllModes(data)) all.push_back(s);
  // The peer answers, but never reads: on two paths not twice as long.
  Scenario window = Base("user_timeout_bounds_a_closed_window", 8 << 20, 1000);
  window.paths.push_back(window.paths[0]);
  window.connect.stream.patience.user_timeout = 20s;
  window.server_config.receive_buffer = 65536;
  window.exchanges[0].server.read_pause_at = 300ms;
  window.exchanges[0].server.read_pause = 100h;
  window.expect.client_end = EndReason::kTimedOut;
  window.expect.server_end = std::nullopt;
  window.events = {{28s, [](World& w) { w.pair(0).server->AbortNow(w.simulator().now()); }}};
  window.check = [](World& w, std::vector<std::string>* failures) {
    const double end = std::chrono::duration<double>(w.pair(0).client->closed_at()).count();
    Wants(failures, end > 20 && end < 22, "the client ended after " + std::to_string(end) + " s");
  };
  window.expect.delivered = false;
  window.budget = 30s;
  for (const Scenario& s : InAllModes(window)) all.push_back(s);
  Scenario refused = Base("user_timeout_bounds_connect", 1000, 1000);
  refused.connect.stream.patience.user_timeout = 4s;
  refused.prepare = [](World& w) { w.client().uplink(0).set_black_hole(true); };
  refused.expect.client_end = EndReason::kTimedOut;
  refused.expect.server_end = std::nullopt;
  refused.expect.delivered = false;
  refused.budget = 5s;
  all.push_back(refused);
  Scenario retries = refused;
  retries.name = "syn_retries_are_the_programs";
  retries.connect.stream = {};
  retries.connect.syn_retries = 1;
  all.push_back(retries);
  return all;
}

// ---- Orphans

std::vector<Scenario> OrphanCatalogue() {
  std::vector<Scenario> all;
  // Five programs leave while their clients read slowly; two may.
  Scenario bound = Base("orphans_are_bounded", 100, 1 << 20);
  bound.server_config.max_orphans = 2;
  bound.client_config.receive_buffer = 65536;
  bound.exchanges[0].client.read_chunk = 65536;
  bound.exchanges[0].client.read_interval = 200ms;
  bound.exchanges[0].server.ending = Ending::kOrphanWhenSent;
  bound.exchanges.resize(5, bound.exchanges[0]);
  bound.expect.client_end = bound.expect.server_end = std::nullopt;
  bound.expect.delivered = false;
  bound.budget = 20s;
  bound.check = [](World& w, std::vector<std::string>* failures) {
    int reset = 0, clean = 0;
    for (size_t i = 0; i < w.pair_count(); ++i) {
      reset += w.pair(i).client->end() == EndReason::kReset ? 1 : 0;
      clean += w.pair(i).client->end() == EndReason::kClean ? 1 : 0;
    }
    Wants(failures, reset == 3 && clean == 2,
          std::to_string(reset) + " reset, " + std::to_string(clean) + " finished");
    Wants(failures, w.server().host().counters().orphans_reset == 3, "not counted");
  };
  for (const Scenario& s : InAllModes(bound)) all.push_back(s);
  // One after the other they never are too many.
  Scenario turns = Base("orphans_that_finish_make_room", 100, 100'000);
  turns.server_config.max_orphans = 1;
  turns.exchanges[0].server.ending = Ending::kOrphanWhenSent;
  turns.exchanges.resize(5, turns.exchanges[0]);
  for (size_t i = 0; i < turns.exchanges.size(); ++i) turns.exchanges[i].start = i * 1s;
  turns.budget = 10s;
  for (const Scenario& s : InAllModes(turns)) all.push_back(s);
  // RFC 2525 2.17: what the program did not read, nobody will: the peer is told by a reset.
  Scenario unread = Base("close_with_unread_bytes_resets", 100'000, 2000);
  unread.exchanges[0].client.tls = unread.exchanges[0].server.tls = false;
  unread.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  unread.exchanges[0].server.read_pause = 10h;
  unread.exchanges[0].server.write_chunk = 1000;
  unread.exchanges[0].server.write_interval = 1s;
  unread.exchanges[0].server.ending = Ending::kOrphanWhenSent;
  unread.expect.client_end = EndReason::kReset;
  unread.expect.server_end = EndReason::kAborted;
  unread.expect.delivered = false;
  unread.budget = 1200ms;
  for (const Scenario& s : InAllModes(unread)) all.push_back(s);
  // The peer has everything and does not end: FIN-WAIT-2, as long as TCP_LINGER2 says.
  struct Case {
    const char* name;
    Duration fin_wait, least, most;
  };
  for (const Case& c : {Case{"fin_wait_2_lasts_a_minute", 60s, 60s, 61s},
                        Case{"fin_wait_2_lasts_as_long_as_asked", 5s, 5s, 6s},
                        Case{"fin_wait_2_is_not_wanted", -1s, 0s, 1s}}) {
    Scenario s = Base(c.name, 30'000, 0);
    s.connect.stream.fin_wait = c.fin_wait;
    s.exchanges[0].client.tls = s.exchanges[0].server.tls = false;
    s.exchanges[0].client.ending = Ending::kOrphanWhenSent;
    s.exchanges[0].server.read_pause = 10h;  // it never sees the end
    s.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
    s.expect.client_end = EndReason::kAborted;
    s.expect.server_end = EndReason::kReset;
    s.expect.delivered = false;
    s.budget = c.most;
    s.check = [c](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.simulator().now() >= Time(c.least), "too early");
    };
    for (const Scenario& mode : InAllModes(s)) all.push_back(mode);
  }
  return all;
}

SCENARIO_SUITE(TimeWait, ReuseCatalogue);
SCENARIO_SUITE(Keepalive, KeepaliveCatalogue);
SCENARIO_SUITE(UserTimeout, UserTimeoutCatalogue);
SCENARIO_SUITE(OrphanBound, OrphanCatalogue);

}  // namespace
}  // namespace mptcptls::sim
