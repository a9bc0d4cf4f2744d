// Every way a connection ends: half closes, both at once, aborts that must never look like a clean
// end, programs that vanish.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

Scenario Base(const std::string& name, uint64_t client_bytes, uint64_t server_bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.exchanges[0].client.send_bytes = client_bytes;
  s.exchanges[0].server.send_bytes = server_bytes;
  s.budget = 3s;
  s.expect.mode = Mode::kTlsAuth;
  return s;
}

// The same for MPTCP under TLS keys, for MPTCP with keys in clear, and for plain TCP.
std::vector<Scenario> InAllModes(const std::vector<Scenario>& scenarios) {
  std::vector<Scenario> all;
  for (const Scenario& s : scenarios) {
    all.push_back(s);
    all.push_back(s);
    all.back().name += "_keys";
    all.back().connect = ConnectAs(AuthPolicy::kKeys, false);
    if (s.expect.mode) all.back().expect.mode = Mode::kKeys;
    all.push_back(s);
    all.back().name += "_tcp";
    all.back().connect = ConnectAs(AuthPolicy::kTcp, false);
    if (s.expect.mode) all.back().expect.mode = Mode::kTcp;
  }
  return all;
}

std::vector<Scenario> OrderlyCatalogue() {
  std::vector<Scenario> all;
  Scenario client = Base("client_ends_first", 1000, 500'000);
  client.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
  all.push_back(client);
  Scenario server = Base("server_ends_first", 500'000, 1000);
  server.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  all.push_back(server);
  // The other direction goes on for long after one has ended.
  Scenario long_half = Base("half_closed_for_long", 100, 100'000);
  long_half.exchanges[0].server.write_chunk = 1000;
  long_half.exchanges[0].server.write_interval = 500ms;
  long_half.budget = 60s;
  all.push_back(long_half);
  all.push_back(Base("both_end_at_once", 1000, 1000));
  Scenario lossy = Base("ends_with_loss", 50'000, 50'000);
  lossy.paths[0].up.loss = 0.1;
  lossy.budget = 60s;
  all.push_back(lossy);
  Scenario reader = Base("end_waits_for_a_slow_reader", 200'000, 10);
  reader.exchanges[0].server.read_chunk = 10'000;
  reader.exchanges[0].server.read_interval = 50ms;
  reader.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
  reader.budget = 5s;
  all.push_back(reader);
  return InAllModes(all);
}

void Expect(Scenario* s, std::optional<EndReason> client, std::optional<EndReason> server) {
  s->expect.client_end = client;
  s->expect.server_end = server;
  s->expect.delivered = false;
}

std::vector<Scenario> AbortCatalogue() {
  std::vector<Scenario> all;
  Scenario client = Base("client_aborts_mid_transfer", 1000, 4 << 20);
  client.exchanges[0].client.ending = Ending::kAbortAfterReceiving;
  client.exchanges[0].client.abort_after = 1 << 20;
  Expect(&client, EndReason::kAborted, EndReason::kReset);
  all.push_back(client);
  Scenario server = Base("server_aborts_mid_transfer", 1000, 4 << 20);
  server.exchanges[0].server.ending = Ending::kAbortAfterSending;
  server.exchanges[0].server.abort_after = 1 << 20;
  Expect(&server, EndReason::kReset, EndReason::kAborted);
  all.push_back(server);
  // Everything was written: the reset must not be taken for the end, nor the end for complete.
  Scenario last = Base("server_aborts_after_its_last_byte", 1000, 100'000);
  last.exchanges[0].server.ending = Ending::kAbortAfterSending;
  last.exchanges[0].server.abort_after = 103'000;
  Expect(&last, EndReason::kReset, EndReason::kAborted);
  all.push_back(last);
  Scenario half = Base("reset_after_a_half_close", 1000, 4 << 20);
  half.exchanges[0].server.ending = Ending::kAbortAfterPeer;
  Expect(&half, EndReason::kReset, EndReason::kAborted);
  all.push_back(half);
  Scenario both = Base("both_abort_at_once", 4 << 20, 4 << 20);
  for (ProgramPlan* p : {&both.exchanges[0].client, &both.exchanges[0].server}) {
    p->ending = Ending::kAbortAfterReceiving;
    p->abort_after = 1 << 20;
  }
  Expect(&both, EndReason::kAborted, EndReason::kAborted);
  // Which one is quicker is the wire's affair; both may not be.
  both.expect.client_end = both.expect.server_end = std::nullopt;
  both.check = [](World& w, std::vector<std::string>* failures) {
    const auto bad = [](EndReason e) { return e != EndReason::kAborted && e != EndReason::kReset; };
    if (bad(w.pair(0).client->end()) || bad(w.pair(0).server->end())) {
      failures->push_back("neither aborted nor reset");
    }
  };
  all.push_back(both);
  Scenario unread = Base("abort_with_unread_bytes", 4 << 20, 1000);
  unread.exchanges[0].server.read_pause = 10s;
  unread.exchanges[0].server.read_pause_at = 200ms;
  unread.exchanges[0].client.ending = Ending::kAbortAfterSending;
  unread.exchanges[0].client.abort_after = 1 << 20;
  Expect(&unread, EndReason::kAborted, EndReason::kReset);
  all.push_back(unread);
  return InAllModes(all);
}

std::vector<Scenario> LostEndCatalogue() {
  std::vector<Scenario> all;
  // A reset is not repeated: the peer finds out from the answer to its next segment.
  Scenario reset_lost = Base("reset_lost", 1000, 4 << 20);
  reset_lost.exchanges[0].client.ending = Ending::kAbortAfterReceiving;
  reset_lost.exchanges[0].client.abort_after = 1 << 20;
  reset_lost.prepare = [](World& w) {
    w.up(0).AddLossPattern(LoseNth([](const TcpView& p) { return p.has(kRst); }, {0}));
  };
  Expect(&reset_lost, EndReason::kAborted, EndReason::kReset);
  all.push_back(reset_lost);
  Scenario last_ack = Base("last_ack_lost", 1000, 1000);
  last_ack.prepare = [](World& w) {
    // After the server's FIN nothing of the client arrives for half a second.
    auto seen = std::make_shared<bool>(false);
    w.down(0).AddLossPattern([seen](const TcpView& p, uint64_t) {
      *seen |= p.has(kFin);
      return false;
    });
    w.up(0).AddLossPattern(
        [seen, n = 0](const TcpView&, uint64_t) mutable { return *seen && n++ < 1; });
  };
  last_ack.budget = 10s;
  all.push_back(last_ack);
  // DATA_FIN travels on a pure ACK, which TCP does not repeat: MPTCP must.
  for (bool client : {true, false}) {
    Scenario fin = Base(client ? "clients_data_fin_lost" : "servers_data_fin_lost", 1000, 1000);
    fin.prepare = [client](World& w) {
      const auto data_fin = [](const TcpView& p) {
        const auto dss = p.FindMptcp(kDss);
        return dss.size() > 4 && (dss[3] & 0x10) != 0;
      };
      (client ? w.up(0) : w.down(0)).AddLossPattern(LoseNth(data_fin, {0, 1}));
    };
    all.push_back(fin);
  }
  Scenario orphan = Base("orphaned_close", 300'000, 0);
  orphan.exchanges[0].client.ending = Ending::kOrphanWhenSent;
  orphan.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
  orphan.expect.client_end = EndReason::kClean;
  all.push_back(orphan);
  // The program is gone while the peer still sends: it is told by a reset, not left to hang.
  Scenario orphan_flood = Base("orphan_gets_data", 1000, 4 << 20);
  orphan_flood.exchanges[0].client.ending = Ending::kOrphanWhenSent;
  Expect(&orphan_flood, std::nullopt, EndReason::kReset);
  all.push_back(orphan_flood);
  // The peer of an orphan is gone too: the orphan leaves by itself.
  Scenario orphan_alone = Base("orphan_left_alone", 3 << 20, 0);
  orphan_alone.exchanges[0].client.ending = Ending::kOrphanWhenSent;
  orphan_alone.events = {
      {250ms, [](World& w) { w.client().uplink(0).set_black_hole(true); }},
      {260ms, [](World& w) { w.pair(0).server->AbortNow(w.simulator().now()); }}};
  Expect(&orphan_alone, std::nullopt, EndReason::kAborted);
  orphan_alone.budget = 1500s;
  all.push_back(orphan_alone);
  Scenario lost = Base("peer_vanishes", 1000, 4 << 20);
  lost.events = {{300ms, [](World& w) { w.client().uplink(0).set_black_hole(true); }}};
  Expect(&lost, std::nullopt, EndReason::kTimedOut);
  // The client only reads: nothing tells it. Its program gives up.
  lost.events.push_back({1400s, [](World& w) { w.pair(0).client->AbortNow(w.simulator().now()); }});
  lost.budget = 1500s;
  all.push_back(lost);
  return all;
}

// The segment whose mapping has `length` bytes says DATA_FIN as well, under a checksum of both: so
// Linux ends its streams, where ours say it alone.
Middlebox DataFinOnData(uint16_t length) {
  return [length](Packet packet, std::vector<Packet>* out) {
    constexpr uint8_t kDss = 2, kDataFin = 0x10, kMapping = 0x04;
    const auto view = TcpView::Of(packet.bytes);
    const auto dss = view ? view->FindMptcp(kDss) : std::span<uint8_t>();
    const auto word = [](std::span<uint8_t> at) { return at[0] << 8 | at[1]; };
    const auto put = [](std::span<uint8_t> at, int value) {
      at[0] = static_cast<uint8_t>(value >> 8);
      at[1] = static_cast<uint8_t>(value);
    };
    // Length and checksum are the option's last four bytes.
    if (!dss.empty() && (dss[3] & kMapping) != 0 && word(dss.last(4)) == length) {
      dss[3] |= kDataFin;
      put(dss.last(4), length + 1);
      // RFC 1624: one more in what is summed up.
      const int sum = (~word(dss.last(2)) & 0xffff) + 1;
      put(dss.last(2), ~((sum & 0xffff) + (sum >> 16)));
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

std::vector<Scenario> DataFinCatalogue() {
  Scenario s = Base("data_fin_on_checksummed_data", 100, 1000);
  s.connect = ConnectAs(AuthPolicy::kKeys, false);
  s.expect.mode = Mode::kKeys;
  s.client_config.checksum = true;
  s.prepare = [](World& w) { w.down(0).AddMiddlebox(DataFinOnData(1000)); };
  s.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::checksum_errors) == 0, "a right checksum is called wrong");
  };
  return {s};
}

SCENARIO_SUITE(DataFin, DataFinCatalogue);
SCENARIO_SUITE(Orderly, OrderlyCatalogue);
SCENARIO_SUITE(Aborted, AbortCatalogue);
SCENARIO_SUITE(LostEnd, LostEndCatalogue);

}  // namespace
}  // namespace mptcptls::sim
