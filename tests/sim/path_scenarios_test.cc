// Several paths: used together, lost, found again, announced, translated.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

LinkConfig Wire(Duration delay = 10ms, uint64_t rate = 50'000'000) {
  return {.delay = delay, .rate = rate, .queue_bytes = 250'000};
}

Scenario Base(const std::string& name, const std::vector<LinkConfig>& links, uint64_t down,
              uint64_t up) {
  Scenario s;
  s.name = name;
  s.paths.clear();
  for (const LinkConfig& link : links) s.paths.push_back({.up = link, .down = {}});
  s.exchanges[0].client.send_bytes = up;
  s.exchanges[0].server.send_bytes = down;
  if (down > up) s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  if (up > down) s.exchanges[0].server.ending = Ending::kShutdownAfterPeer;
  s.expect.mode = Mode::kTlsAuth;
  s.expect.subflows = links.size();
  return s;
}

// RFC 5961 3.2: a RST beyond what was lost is out of sequence and answered by a challenge ACK. Who
// broke the connection off is gone by then, and must say MP_FASTCLOSE again.
Scenario AbortBeyondAHole(AuthPolicy auth) {
  const bool keys = auth == AuthPolicy::kKeys;
  Scenario s = Base(keys ? "abort_beyond_a_hole_keys_mode" : "abort_beyond_a_hole",
                    {Wire(), Wire()}, 200, 64 * kMiB);
  s.connect = ConnectAs(auth, !keys);
  s.exchanges[0].client.tls = s.exchanges[0].server.tls = !keys;
  s.expect.mode = keys ? Mode::kKeys : Mode::kTlsAuth;
  s.expect.client_end = EndReason::kAborted;
  s.expect.server_end = EndReason::kReset;
  s.expect.delivered = false;
  auto answered = std::make_shared<uint32_t>(0);
  const auto lose_data = [answered](const TcpView& p, uint64_t) {
    // An answer to a challenge ACK has no ACK (RFC 9293 3.10.7.1).
    const bool says_it = p.flags() == kRst && !p.FindMptcp(kMpFastclose).empty();
    *answered += static_cast<uint32_t>(says_it);
    return IsData(p);
  };
  s.events = {{400ms,
               [lose_data](World& w) {
                 for (size_t path : {0u, 1u}) w.up(path).AddLossPattern(lose_data);
               }},
              {405ms, [](World& w) { w.pair(0).client->AbortNow(w.simulator().now()); }}};
  s.check = [answered](World&, std::vector<std::string>* failures) {
    Wants(failures, *answered > 0, "no challenge was answered by MP_FASTCLOSE");
  };
  s.budget = 1s;
  return s;
}

std::vector<Scenario> TogetherCatalogue() {
  std::vector<Scenario> all;
  // 16 MiB at 50 Mbit/s take 2.68 s: 1.7 times as fast is 1.58 s.
  for (bool download : {true, false}) {
    Scenario equal = Base(download ? "two_equal_paths_download" : "two_equal_paths_upload",
                          {Wire(), Wire()}, download ? 16 * kMiB : 200, download ? 200 : 16 * kMiB);
    equal.budget = 2s;
    equal.expect.least_share = 0.35;
    equal.check = [](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.completed() < Time(1580ms),
            "slower than 1.7 times one path: " +
                std::to_string(w.completed().time_since_epoch().count()));
    };
    all.push_back(equal);
  }
  Scenario keys = Base("two_equal_paths_keys_mode", {Wire(), Wire()}, 16 * kMiB, 200);
  keys.connect = ConnectAs(AuthPolicy::kKeys, false);
  keys.exchanges[0].client.tls = keys.exchanges[0].server.tls = false;
  keys.expect.mode = Mode::kKeys;
  keys.expect.least_share = 0.35;
  keys.budget = 2s;
  all.push_back(keys);
  // One subflow an uplink, none across families.
  Scenario dual = Base("two_paths_of_dual_stack_hosts", {Wire(), Wire()}, 16 * kMiB, 200);
  dual.dual_stack = true;
  dual.expect.least_share = 0.35;
  dual.budget = 2s;
  dual.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::joins_sent) == 1,
          std::to_string(w.Sum(&Counters::joins_sent)) + " joins sent");
  };
  all.push_back(dual);
  Scenario checksum = Base("two_paths_with_checksum", {Wire(), Wire()}, 8 * kMiB, 8 * kMiB);
  checksum.server_config.checksum = true;
  checksum.budget = 2s;
  all.push_back(checksum);
  // Never slower than the better path alone (2.7 s).
  Scenario unlike = Base("two_unlike_paths", {Wire(), Wire(40ms, 10'000'000)}, 16 * kMiB, 200);
  unlike.budget = 3s;
  all.push_back(unlike);
  Scenario lossy = Base("second_path_loses_5_percent", {Wire(), Wire()}, 16 * kMiB, 200);
  lossy.paths[1].up.loss = 0.05;
  lossy.budget = 4s;
  all.push_back(lossy);
  Scenario slow_first =
      Base("first_path_is_the_slow_one", {Wire(100ms, 2'000'000), Wire()}, 8 * kMiB, 200);
  slow_first.budget = 3s;
  all.push_back(slow_first);
  all.push_back(
      Base("three_paths", {Wire(), Wire(20ms), Wire(5ms, 20'000'000)}, 8 * kMiB, 8 * kMiB));
  all.back().budget = 3s;
  Scenario reader = Base("slow_reader_over_two_paths", {Wire(), Wire(50ms)}, 4 * kMiB, 200);
  reader.client_config.receive_buffer = 256 * 1024;
  reader.exchanges[0].client.read_chunk = 50'000;
  reader.exchanges[0].client.read_interval = 20ms;
  reader.budget = 10s;
  all.push_back(reader);
  Scenario abort = Base("abort_reaches_over_two_paths", {Wire(), Wire()}, 64 * kMiB, 200);
  abort.exchanges[0].client.ending = Ending::kAbortAfterReceiving;
  abort.exchanges[0].client.abort_after = 4 * kMiB;
  abort.expect.client_end = EndReason::kAborted;
  abort.expect.server_end = EndReason::kReset;
  abort.expect.delivered = false;
  abort.budget = 3s;
  all.push_back(abort);
  // RFC 8684 3.5: who gets MP_FASTCLOSE resets the other subflows, or their ends on the way would
  // never learn of it: here no RST of the client gets through on the first path.
  Scenario half = abort;
  half.name = "abort_of_which_one_path_loses_the_reset";
  auto answered = std::make_shared<bool>(false);
  half.prepare = [answered](World& w) {
    w.up(0).AddLossPattern([](const TcpView& p, uint64_t) { return p.has(kRst); });
    w.server().uplink(0).up().AddLossPattern([answered](const TcpView& p, uint64_t) {
      *answered |= p.has(kRst) && p.has(kAck);  // of a connection; one for none has no ACK
      return false;
    });
  };
  half.check = [answered](World&, std::vector<std::string>* failures) {
    Wants(failures, *answered, "the server left the first path without a word");
  };
  all.push_back(half);
  all.push_back(AbortBeyondAHole(AuthPolicy::kAuto));
  all.push_back(AbortBeyondAHole(AuthPolicy::kKeys));
  return all;
}

// Remembers how much a path had carried, to see whether it carries more later.
struct Mark {
  std::shared_ptr<uint64_t> at = std::make_shared<uint64_t>(0);
  Event Take(Duration time, size_t path) const {
    return {time, [at = at, path](World& w) { *at = w.PayloadOn(path); }};
  }
  auto UsedAgain(size_t path) const {
    return [at = at, path](World& w, std::vector<std::string>* failures) {
      Wants(failures, *at > 0, "path " + std::to_string(path) + " was never marked");
      Wants(failures, w.PayloadOn(path) > *at + 200'000,
            "path " + std::to_string(path) + " is not used again: " +
                std::to_string(w.PayloadOn(path) - *at) + " bytes since it is back");
    };
  }
};

Event Hole(Duration at, size_t path, bool on) {
  return {at, [path, on](World& w) { w.client().uplink(path).set_black_hole(on); }};
}

std::vector<Scenario> FailureCatalogue() {
  std::vector<Scenario> all;
  for (size_t path : {0u, 1u}) {
    const std::string which = path == 0 ? "first" : "second";
    Scenario silent = Base(which + "_path_dies_silently", {Wire(), Wire()}, 16 * kMiB, 200);
    silent.events = {Hole(600ms, path, true)};
    silent.expect.subflows = std::nullopt;
    silent.expect.least_share = 0;
    silent.budget = 10s;
    all.push_back(silent);

    Scenario back = Base(which + "_path_dies_and_comes_back", {Wire(), Wire()}, 100 * kMiB, 200);
    const Mark mark;
    back.events = {Hole(1s, path, true), Hole(4s, path, false), mark.Take(4s, path)};
    back.check = mark.UsedAgain(path);
    back.expect.subflows = std::nullopt;
    back.budget = 25s;
    all.push_back(back);

    Scenario upload = Base(which + "_path_dies_in_an_upload", {Wire(), Wire()}, 200, 16 * kMiB);
    upload.events = {Hole(600ms, path, true)};
    upload.expect.subflows = std::nullopt;
    upload.budget = 10s;
    all.push_back(upload);

    Scenario told = Base(which + "_uplink_goes_down_and_up", {Wire(), Wire()}, 100 * kMiB, 200);
    const Mark again;
    told.events = {{1s, [path](World& w) { w.client().SetUplinkUp(path, false); }},
                   {3s, [path](World& w) { w.client().SetUplinkUp(path, true); }},
                   again.Take(3s, path)};
    told.check = again.UsedAgain(path);
    told.expect.subflows = std::nullopt;
    told.budget = 20s;
    all.push_back(told);

    Scenario unrouted = told;
    unrouted.name = which + "_uplink_comes_back_before_its_route";
    const Mark routed;
    unrouted.events = {{1s,
                        [path](World& w) {
                          w.client().SetUplinkUp(path, false);
                          w.client().SetRouted(path, false);
                        }},
                       {3s, [path](World& w) { w.client().SetUplinkUp(path, true); }},
                       {3100ms, [path](World& w) { w.client().SetRouted(path, true); }},
                       routed.Take(3100ms, path)};
    unrouted.check = routed.UsedAgain(path);
    all.push_back(unrouted);

    Scenario server =
        Base(which + "_server_address_goes_and_comes", {Wire(), Wire()}, 100 * kMiB, 200);
    const Mark third;
    server.events = {{1s, [path](World& w) { w.server().SetUplinkUp(path, false); }},
                     {3s, [path](World& w) { w.server().SetUplinkUp(path, true); }},
                     third.Take(3s, path)};
    server.check = third.UsedAgain(path);
    server.expect.subflows = std::nullopt;
    server.budget = 25s;
    all.push_back(server);

    // An idle connection whose path dies must still work when it is needed.
    Scenario idle = Base(which + "_path_dies_while_idle", {Wire(), Wire()}, 2 * kMiB, 200);
    idle.exchanges[0].server.write_chunk = kMiB;
    idle.exchanges[0].server.write_interval = 5s;
    idle.events = {Hole(2s, path, true)};
    idle.expect.subflows = std::nullopt;
    idle.budget = 30s;
    all.push_back(idle);
  }
  Scenario late = Base("second_uplink_appears_later", {Wire(), Wire()}, 32 * kMiB, 200);
  late.prepare = [](World& w) { w.client().SetUplinkUp(1, false); };
  late.events = {{1s, [](World& w) { w.client().SetUplinkUp(1, true); }}};
  late.expect.least_share = 0.2;
  late.budget = 6s;
  all.push_back(late);
  Scenario both = Base("both_paths_die_for_three_seconds", {Wire(), Wire()}, 16 * kMiB, 200);
  both.events = {Hole(600ms, 0, true), Hole(600ms, 1, true), Hole(3600ms, 0, false),
                 Hole(3600ms, 1, false)};
  both.expect.subflows = std::nullopt;
  both.budget = 30s;
  all.push_back(both);
  Scenario flapping = Base("paths_die_in_turn", {Wire(), Wire()}, 64 * kMiB, 200);
  for (int i = 0; i < 4; ++i) {
    const auto path = static_cast<size_t>(i % 2);
    flapping.events.push_back(Hole(Duration(1s) * (2 * i + 1), path, true));
    flapping.events.push_back(Hole(Duration(1s) * (2 * i + 2), path, false));
  }
  flapping.expect.subflows = std::nullopt;
  flapping.budget = 40s;
  all.push_back(flapping);
  Scenario one_way = Base("only_acknowledgements_are_lost", {Wire(), Wire()}, 16 * kMiB, 200);
  one_way.events = {{600ms, [](World& w) { w.up(0).set_black_hole(true); }}};
  one_way.expect.subflows = std::nullopt;
  one_way.budget = 10s;
  all.push_back(one_way);
  Scenario abort = Base("abort_while_a_path_is_dead", {Wire(), Wire()}, 64 * kMiB, 200);
  abort.exchanges[0].client.ending = Ending::kAbortAfterReceiving;
  abort.exchanges[0].client.abort_after = 8 * kMiB;
  abort.events = {Hole(500ms, 0, true)};
  abort.expect = {.mode = Mode::kTlsAuth,
                  .client_end = EndReason::kAborted,
                  .server_end = EndReason::kReset,
                  .subflows = {},
                  .delivered = false};
  abort.budget = 20s;
  all.push_back(abort);
  return all;
}

std::vector<Scenario> AddressCatalogue() {
  std::vector<Scenario> all;
  // The client has one uplink; the server's second address is learned from ADD_ADDR.
  for (bool wildcard : {true, false}) {
    Scenario add = Base(wildcard ? "server_announces_its_address" : "server_announces_with_a_port",
                        {Wire(), Wire()}, 8 * kMiB, 200);
    add.mesh = true;
    add.wildcard = wildcard;
    add.prepare = [](World& w) { w.client().SetUplinkUp(1, false); };
    add.check = [](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.Sum(&Counters::add_addr_received) > 0, "no ADD_ADDR was accepted");
    };
    add.expect.subflows = 2;
    add.budget = 5s;
    all.push_back(add);
  }
  Scenario mesh = Base("everything_reaches_everything", {Wire(), Wire()}, 16 * kMiB, 200);
  mesh.mesh = true;
  mesh.expect.subflows = std::nullopt;
  mesh.expect.least_share = 0.35;
  mesh.budget = 3s;
  all.push_back(mesh);
  for (size_t path : {0u, 1u}) {
    Scenario nat = Base(path == 0 ? "first_path_is_translated" : "second_path_is_translated",
                        {Wire(), Wire()}, 8 * kMiB, 200);
    nat.prepare = [path](World& w) {
      const IpAddress outside =
          *IpAddress::Parse(w.scenario().family == Family::kV4 ? "192.0.2.77" : "2001:db8:77::1");
      const NatPair pair = Nat(w.ClientAddress(path), outside);
      w.up(path).AddMiddlebox(pair.outbound);
      w.down(path).AddMiddlebox(pair.inbound);
      w.network(path)->Join(outside, &w.down(path));
    };
    nat.expect.least_share = 0.3;
    nat.budget = 3s;
    all.push_back(nat);
  }
  Scenario reorder = Base("joins_and_transfer_with_reordering", {Wire(), Wire()}, 8 * kMiB, 200);
  for (PathPlan& p : reorder.paths) {
    p.up.reorder = 0.05;
    p.up.reorder_delay = 3ms;
  }
  reorder.budget = 5s;
  all.push_back(reorder);
  return all;
}

SCENARIO_SUITE(Together, TogetherCatalogue);
SCENARIO_SUITE(PathFailure, FailureCatalogue);
SCENARIO_SUITE(Addresses, AddressCatalogue);

}  // namespace
}  // namespace mptcptls::sim
