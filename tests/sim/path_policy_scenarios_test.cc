// What the path manager is told (PathPolicy, LocalAddress::use): how many subflows, from where to
// where, which are backups, and for how long a connection waits for a path.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

Scenario Download(const std::string& name, size_t paths, uint64_t bytes = 4 * kMiB) {
  Scenario s;
  s.name = name;
  s.paths.assign(paths, {.up = Wire(), .down = {}});
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].server.send_bytes = bytes;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.expect.mode = Mode::kTlsAuth;
  s.budget = 5s;
  return s;
}

std::function<void(World&)> Uses(size_t path, UplinkUse use, bool at_client = true,
                                 size_t subflows = 1) {
  return [=](World& w) { (at_client ? w.client() : w.server()).SetUse(path, use, subflows); };
}

// At `time`, why the first connection of the client does not use its interface `path`.
Event Reason(Duration time, size_t path, const std::shared_ptr<std::string>& out) {
  return {time, [path, out](World& w) {
            const ConnectionInfo info = w.pair(0).client->connection()->Info(w.simulator().now());
            for (const UnusedPath& unused : info.unused_paths) {
              if (unused.local == w.ClientAddress(path)) *out = unused.reason;
            }
          }};
}

auto Says(const std::shared_ptr<std::string>& reason, const std::string& what) {
  return [=](World&, std::vector<std::string>* failures) {
    Wants(failures, reason->find(what) != std::string::npos,
          "the reason is \"" + *reason + "\", not \"" + what + "\"");
  };
}

auto CarriesAtMost(size_t path, uint64_t bytes) {
  return [=](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.PayloadOn(path) <= bytes,
          "path " + std::to_string(path) + " carried " + std::to_string(w.PayloadOn(path)));
  };
}

auto CarriesAtLeast(size_t path, uint64_t bytes) {
  return [=](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.PayloadOn(path) >= bytes,
          "path " + std::to_string(path) + " carried " + std::to_string(w.PayloadOn(path)));
  };
}

Event Hole(Duration at, size_t path, bool on) {
  return {at, [path, on](World& w) { w.client().uplink(path).set_black_hole(on); }};
}

// ---- How many, and between what

std::vector<Scenario> LimitCatalogue() {
  std::vector<Scenario> all;
  // Two interfaces and two addresses of the peer make four pairs. To cover them takes three, as the
  // second interface is used before the second address is known.
  Scenario cover = Download("pairs_that_cover_both_sides", 2);
  cover.mesh = true;
  cover.expect.subflows = 3;
  all.push_back(cover);
  Scenario full = cover;
  full.name = "full_mesh";
  full.client_config.paths.full_mesh = true;
  full.expect.subflows = 4;
  all.push_back(full);
  Scenario limited = full;
  limited.name = "full_mesh_up_to_the_limit";
  limited.client_config.paths.max_subflows = 3;
  limited.expect.subflows = 3;
  all.push_back(limited);

  Scenario ports = Download("three_subflows_between_one_pair", 1);
  ports.prepare = Uses(0, UplinkUse::kNormal, true, 3);
  ports.expect.subflows = 3;
  all.push_back(ports);
  Scenario mesh_ports = full;
  mesh_ports.name = "two_subflows_for_each_pair_of_one_uplink";
  mesh_ports.prepare = Uses(1, UplinkUse::kNormal, true, 2);
  mesh_ports.expect.subflows = 6;
  all.push_back(mesh_ports);

  auto reason = std::make_shared<std::string>();
  Scenario own = Download("own_limit_on_subflows", 3);
  own.client_config.paths.max_subflows = 2;
  own.expect.subflows = 2;
  own.events = {Reason(300ms, 2, reason)};
  own.check = Says(reason, "limit of 2 subflows");
  all.push_back(own);
  reason = std::make_shared<std::string>();
  Scenario peers = Download("the_peers_limit_on_subflows", 3);
  peers.server_config.paths.max_subflows = 2;
  peers.events = {Reason(300ms, 2, reason)};
  peers.check = [reason](World& w, std::vector<std::string>* failures) {
    const size_t had = w.pair(0).server->final_info().subflows.size();
    Wants(failures, had == 2, "the server had " + std::to_string(had));
    Says(reason, "refused by the peer (reason")(w, failures);
  };
  all.push_back(peers);

  for (const bool announces : {true, false}) {
    Scenario s = Download(announces ? "announced_address_is_used" : "no_address_is_announced", 2);
    s.mesh = true;
    s.server_config.paths.announce = announces;
    s.prepare = [](World& w) { w.client().SetUplinkUp(1, false); };
    s.expect.subflows = announces ? 2 : 1;
    all.push_back(s);
  }
  // The kernel takes no second ADD_ADDR while it is busy with the first.
  Scenario turns = Download("addresses_are_announced_in_turn", 4, 8 * kMiB);
  turns.expect.subflows = 4;
  auto open = std::make_shared<std::array<int, 3>>();  // unanswered now, at most, in all
  turns.prepare = [open](World& w) {
    *open = {};
    for (size_t path = 0; path < 4; ++path) {
      for (const bool up : {true, false}) {
        (up ? w.up(path) : w.down(path)).AddMiddlebox([open, up](Packet packet, auto* out) {
          const auto view = TcpView::Of(packet.bytes);
          if (view && !view->FindMptcp(kAddAddr).empty()) {
            auto& [now, most, total] = *open;
            now += up ? -1 : 1;  // echoed, announced
            most = std::max(most, now);
            total += up ? 0 : 1;
          }
          out->push_back(std::move(packet));
        });
      }
    }
  };
  turns.check = [open](World&, std::vector<std::string>* failures) {
    Wants(failures, (*open)[1] == 1 && (*open)[2] == 3,
          std::to_string((*open)[2]) + " announced, " + std::to_string((*open)[1]) + " at a time");
  };
  all.push_back(turns);
  Scenario none = Download("no_address_is_taken", 2);
  none.mesh = true;
  none.client_config.paths.max_addresses = 0;
  none.prepare = [](World& w) { w.client().SetUplinkUp(1, false); };
  none.expect.subflows = 1;
  none.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.client().host().counters().add_addr_refused > 0, "nothing was refused");
  };
  all.push_back(none);
  return all;
}

// RFC 8684 3.1, flag C: whoever takes no joins says so, and is not asked.
std::vector<Scenario> RefusalCatalogue() {
  std::vector<Scenario> all;
  for (const bool keys : {false, true}) {
    auto reason = std::make_shared<std::string>();
    Scenario server = Download(keys ? "server_takes_no_joins_keys" : "server_takes_no_joins", 2);
    if (keys) {
      server.connect = ConnectAs(AuthPolicy::kKeys, false);
      server.exchanges[0].client.tls = server.exchanges[0].server.tls = false;
      server.expect.mode = Mode::kKeys;
    }
    server.mesh = true;
    server.server_config.paths.accept_joins = false;
    server.expect.subflows = 1;
    server.events = {Reason(300ms, 1, reason)};
    server.check = [reason](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.Sum(&Counters::joins_sent) == 0, "a join was sent");
      Says(reason, "takes no subflows at this address")(w, failures);
    };
    all.push_back(server);
  }
  // Where the flag is lost on the way the join itself is refused.
  Scenario unheard = Download("join_without_regard_to_the_flag", 2);
  unheard.mesh = true;
  unheard.server_config.paths.accept_joins = false;
  unheard.prepare = [](World& w) {
    w.down(0).AddMiddlebox([](Packet packet, std::vector<Packet>* out) {
      if (const auto view = TcpView::Of(packet.bytes)) {
        const auto capable = view->FindMptcp(kMpCapable);
        if (!capable.empty()) capable[3] &= static_cast<uint8_t>(~MpCapable::kFlagNoJoinHere);
        Seal(&packet);
      }
      out->push_back(std::move(packet));
    });
  };
  unheard.expect.subflows = 1;
  unheard.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.server().host().counters().joins_refused_policy > 0, "nothing was refused");
  };
  all.push_back(unheard);
  return all;
}

// ---- Backups

// Loses what is written first after `from`, but not the probe that asks for it.
Link::LossPattern LosesOneWrite(World* w, Duration from) {
  auto until = std::make_shared<std::optional<Time>>();
  return [=](const TcpView& p, uint64_t) {
    const Time now = w->simulator().now();
    if (!IsData(p) || now < Time(from)) return false;
    if (!*until) *until = now + 20ms;
    return now < **until;
  };
}

std::vector<Scenario> BackupCatalogue() {
  std::vector<Scenario> all;
  for (const bool at_client : {true, false}) {
    const std::string whose = at_client ? "clients" : "servers";
    // MP_JOIN's SYN or SYN/ACK says it; either end sends on it last then.
    for (const bool up : {true, false}) {
      Scenario idle = Download(whose + "_backup_is_idle_" + (up ? "upload" : "download"), 2);
      if (up) {
        std::swap(idle.exchanges[0].client, idle.exchanges[0].server);
      }
      idle.prepare = Uses(1, UplinkUse::kBackup, at_client);
      idle.expect.subflows = 2;
      idle.check = CarriesAtMost(1, 0);
      all.push_back(idle);
    }
    Scenario needed = Download(whose + "_backup_takes_over", 2, 8 * kMiB);
    needed.prepare = Uses(1, UplinkUse::kBackup, at_client);
    needed.events = {Hole(500ms, 0, true)};
    needed.expect.subflows = 2;
    needed.check = CarriesAtLeast(1, 4 * kMiB);
    needed.expect.client_end = needed.expect.server_end = std::nullopt;
    needed.budget = 200s;  // until the dead path is given up
    all.push_back(needed);
    // The first subflow's handshake cannot say it: MP_PRIO does.
    // It is not there for a path that is only asked by a probe whether it still answers.
    Scenario silent = Download(whose + "_backup_is_idle_in_a_short_silence", 2);
    silent.exchanges[0].server.write_chunk = 10'000;
    silent.exchanges[0].server.write_interval = 100ms;
    silent.exchanges[0].server.send_bytes = 200'000;
    silent.prepare = [at_client](World& w) {
      Uses(1, UplinkUse::kBackup, at_client)(w);
      w.down(0).AddLossPattern(LosesOneWrite(&w, 1s));
    };
    silent.check = [](World& w, std::vector<std::string>* failures) {
      CarriesAtMost(1, 0)(w, failures);
      Wants(failures, w.Sum(&Counters::tlp_sent) > 0, "no probe was sent");
      Wants(failures, w.Sum(&Counters::rto_fired) == 0, "it timed out");
    };
    all.push_back(silent);
    Scenario first = Download(whose + "_first_path_is_the_backup", 2, 8 * kMiB);
    first.prepare = Uses(0, UplinkUse::kBackup, at_client);
    first.expect.subflows = 2;
    first.check = CarriesAtMost(0, 200'000);  // until the second one is there
    all.push_back(first);
    Scenario later = Download(whose + "_path_becomes_a_backup", 2, 16 * kMiB);
    later.events = {{500ms, Uses(1, UplinkUse::kBackup, at_client)}};
    later.check = [](World& w, std::vector<std::string>* failures) {
      CarriesAtMost(1, 3 * kMiB)(w, failures);
      CarriesAtLeast(1, kMiB)(w, failures);
    };
    all.push_back(later);
    Scenario again = Download(whose + "_backup_becomes_a_path", 2, 16 * kMiB);
    again.prepare = Uses(1, UplinkUse::kBackup, at_client);
    again.events = {{500ms, Uses(1, UplinkUse::kNormal, at_client)}};
    again.check = CarriesAtLeast(1, 4 * kMiB);
    all.push_back(again);
  }
  // MP_PRIO is not acknowledged: it is said three times.
  Scenario lost = Download("priority_is_lost_twice", 2, 48 * kMiB);
  auto seen = std::make_shared<int>(0);
  lost.prepare = [seen](World& w) {
    *seen = 0;
    Uses(0, UplinkUse::kBackup)(w);
    w.up(0).AddLossPattern([seen](const TcpView& p, uint64_t) {
      return !p.FindMptcp(kMpPrio).empty() && ++*seen <= 2;
    });
  };
  lost.check = [seen](World& w, std::vector<std::string>* failures) {
    Wants(failures, *seen == 3, std::to_string(*seen) + " times");
    CarriesAtLeast(1, 27 * kMiB)(w, failures);
  };
  lost.budget = 10s;
  all.push_back(lost);
  return all;
}

std::vector<Scenario> MeteredCatalogue() {
  std::vector<Scenario> all;
  auto reason = std::make_shared<std::string>();
  Scenario idle = Download("metered_uplink_is_not_even_opened", 2);
  idle.prepare = Uses(1, UplinkUse::kMetered);
  idle.expect.subflows = 1;
  idle.events = {Reason(300ms, 1, reason)};
  idle.check = Says(reason, "metered");
  all.push_back(idle);
  for (const bool told : {true, false}) {
    Scenario s = Download(told ? "metered_uplink_when_the_other_is_unplugged"
                               : "metered_uplink_when_the_other_is_silent",
                          2, 8 * kMiB);
    // Silence is noticed by who sends.
    if (!told) std::swap(s.exchanges[0].client, s.exchanges[0].server);
    s.prepare = Uses(1, UplinkUse::kMetered);
    s.events = {told ? Event{500ms, [](World& w) { w.client().SetUplinkUp(0, false); }}
                     : Hole(500ms, 0, true)};
    s.expect.subflows = 2;
    s.check = CarriesAtLeast(1, 4 * kMiB);
    s.expect.client_end = s.expect.server_end = std::nullopt;
    s.budget = 200s;
    all.push_back(s);
  }
  return all;
}

// ---- Both families, and none at all

std::vector<Scenario> FamilyCatalogue() {
  std::vector<Scenario> all;
  for (const bool wildcard : {true, false}) {
    Scenario s = Download(
        wildcard ? "second_path_of_the_other_family" : "second_path_of_the_other_family_own_port",
        2, 8 * kMiB);
    s.paths[1].second_family = true;
    s.wildcard = wildcard;
    s.expect.subflows = 2;
    s.expect.least_share = 0.3;
    all.push_back(s);
  }
  auto reason = std::make_shared<std::string>();
  Scenario untold = Download("no_address_of_the_second_family", 2);
  untold.paths[1].second_family = true;
  untold.server_config.paths.announce = false;
  untold.expect.subflows = 1;
  untold.events = {{300ms, [reason](World& w) {
                      const auto info = w.pair(0).client->connection()->Info(w.simulator().now());
                      if (!info.unused_paths.empty()) *reason = info.unused_paths[0].reason;
                    }}};
  untold.check = Says(reason, "no address of this family");
  all.push_back(untold);
  return all;
}

std::vector<Scenario> HoldCatalogue() {
  std::vector<Scenario> all;
  for (const int hold : {5, 120}) {
    Scenario s = Download("no_path_for_100_seconds_hold_" + std::to_string(hold), 2, 16 * kMiB);
    s.client_config.paths.hold = s.server_config.paths.hold = std::chrono::seconds(hold);
    for (const size_t path : {0u, 1u}) {
      s.events.push_back({500ms, [path](World& w) {
                            w.client().SetUplinkUp(path, false);
                            w.server().SetUplinkUp(path, false);
                          }});
      s.events.push_back({100s, [path](World& w) {
                            w.client().SetUplinkUp(path, true);
                            w.server().SetUplinkUp(path, true);
                          }});
    }
    s.budget = 200s;
    if (hold == 5) {
      s.expect.client_end = s.expect.server_end = EndReason::kTimedOut;
      s.expect.delivered = false;
      s.budget = 7s;
    }
    all.push_back(s);
  }
  return all;
}

SCENARIO_SUITE(PathLimits, LimitCatalogue);
SCENARIO_SUITE(Refusals, RefusalCatalogue);
SCENARIO_SUITE(Backups, BackupCatalogue);
SCENARIO_SUITE(Metered, MeteredCatalogue);
SCENARIO_SUITE(Families, FamilyCatalogue);
SCENARIO_SUITE(Hold, HoldCatalogue);

}  // namespace
}  // namespace mptcptls::sim
