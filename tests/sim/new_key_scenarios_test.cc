// NEW_KEY (PROTOCOL.md 8): what two hosts know of each other's key before any join.
#include <algorithm>

#include "stack/mptcp/crypto.h"
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;
constexpr int kNewKey = 9;

// Of the first key (K = 0).
bool IsFirstNewKey(const TcpView& packet) {
  const auto option = packet.FindMptcp(kNewKey);
  return !option.empty() && (option[2] & 1) == 0;
}

bool IsNewKey(const TcpView& packet) { return !packet.FindMptcp(kNewKey).empty(); }

Scenario Base(const std::string& name) {
  Scenario s;
  s.name = name;
  s.paths.assign(2,
                 {.up = {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}, .down = {}});
  s.mesh = true;
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges[0].server.send_bytes = 8 * kMiB;
  s.expect.mode = Mode::kTlsAuth;
  s.budget = 20s;
  return s;
}

std::vector<Scenario> Catalogue() {
  std::vector<Scenario> all;
  Scenario both = Base("each_host_learns_that_the_other_holds_the_key");
  both.check = [](World& w, std::vector<std::string>* failures) {
    for (SimHost* host : {&w.client(), &w.server()}) {
      const Counters& c = host->host().counters();
      Wants(failures, c.new_key_received == 1 && c.new_key_sent == 1, "said and heard once");
      Wants(failures, c.new_key_refused == 0, "one was refused");
    }
    for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
      Wants(failures, p->final_info().peer_key == PeerKey::kHolds, p->name() + " does not know");
    }
  };
  all.push_back(both);

  for (const bool up : {true, false}) {
    Scenario lost = Base(up ? "the_clients_is_lost_twice" : "the_servers_is_lost_twice");
    lost.exchanges[0].server.send_bytes = 64 * kMiB;
    lost.prepare = [up](World& w) {
      for (size_t path : {0u, 1u}) {
        (up ? w.up(path) : w.down(path)).AddLossPattern(LoseNth(IsNewKey, {0, 1}));
      }
    };
    lost.check = [](World& w, std::vector<std::string>* failures) {
      for (SimHost* host : {&w.client(), &w.server()}) {
        Wants(failures, host->host().counters().new_key_received > 0, "never heard");
      }
    };
    all.push_back(lost);
  }

  // As to a peer that does not know the option.
  Scenario deaf = Base("five_times_are_enough");
  deaf.exchanges[0].server.write_chunk = 10'000;
  deaf.exchanges[0].server.write_interval = 1s;
  deaf.exchanges[0].server.send_bytes = 600'000;
  deaf.budget = 100s;
  deaf.prepare = [](World& w) {
    for (size_t path : {0u, 1u}) {
      for (Link* link : {&w.up(path), &w.down(path)}) {
        link->AddLossPattern([](const TcpView& p, uint64_t) { return IsNewKey(p); });
      }
    }
  };
  deaf.check = [](World& w, std::vector<std::string>* failures) {
    for (SimHost* host : {&w.client(), &w.server()}) {
      Wants(failures, host->host().counters().new_key_sent == 5, "said more or less than 5 times");
    }
    Wants(failures, w.Sum(&Counters::joins_accepted) > 0, "joins waited for ever");
  };
  all.push_back(deaf);

  // The server's key comes late. The first join is sent too early, as nobody knows better; the
  // second connection waits.
  Scenario known = Base("joins_wait_for_a_peer_that_says_it");
  known.exchanges.resize(2);
  known.exchanges[1] = known.exchanges[0];
  for (Exchange& e : known.exchanges) e.server.key_delay = 300ms;
  known.exchanges[1].start = 8s;
  auto parked = std::make_shared<uint64_t>(0);
  known.events = {{7900ms, [parked](World& w) { *parked = w.Sum(&Counters::joins_parked); }}};
  known.check = [parked](World& w, std::vector<std::string>* failures) {
    Wants(failures, *parked > 0, "the first connection's join was not early");
    Wants(failures, w.Sum(&Counters::joins_parked) == *parked, "the second did not wait");
    Wants(failures, w.client().host().Cache(w.simulator().now())[0].confirms_keys,
          "the cache does not say so");
    Wants(failures, w.pair(1).client->final_info().subflows.size() > 1, "the second never joined");
  };
  all.push_back(known);

  // Both see it, and the client tries no join that cannot succeed.
  Scenario differ = Base("different_keys_are_found_early");
  differ.exchanges[0].client.key_delay = 500ms;
  differ.exchanges[0].server.wrong_key = 4711;
  differ.check = [](World& w, std::vector<std::string>* failures) {
    for (SimHost* host : {&w.client(), &w.server()}) {
      Wants(failures, host->host().counters().new_key_refused > 0, "nobody noticed");
      Wants(failures, host->host().counters().new_key_received == 0, "a wrong one was taken");
    }
    Wants(failures, w.Sum(&Counters::joins_sent) == 0, "a join was tried");
    Wants(failures, w.pair(0).client->final_info().peer_key == PeerKey::kDiffers, "not told");
  };
  all.push_back(differ);
  return all;
}

// ---- Keys that follow the first ones

// The second path goes and comes back, so that there is a join.
void Rejoin(Scenario* s, Duration at) {
  s->events.push_back({at, [](World& w) { w.client().SetUplinkUp(1, false); }});
  s->events.push_back({at + 200ms, [](World& w) { w.client().SetUplinkUp(1, true); }});
}

Scenario Renegotiated(const std::string& name, const std::vector<Duration>& client,
                      const std::vector<Duration>& server, uint32_t replaced) {
  Scenario s = Base(name);
  s.exchanges[0].server.send_bytes = 32 * kMiB;
  s.exchanges[0].client.renegotiations = client;
  s.exchanges[0].server.renegotiations = server;
  s.check = [replaced](World& w, std::vector<std::string>* failures) {
    for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
      const uint32_t times = p->final_info().keys_replaced;
      Wants(failures, times == replaced, p->name() + ": replaced " + std::to_string(times));
    }
    Wants(failures, w.Sum(&Counters::joins_refused_hmac) == 0, "a join was refused");
    Wants(failures, w.Sum(&Counters::joins_accepted) >= 4, "nothing joined again");
  };
  return s;
}

std::vector<Scenario> LaterCatalogue() {
  std::vector<Scenario> all;
  Scenario both = Renegotiated("the_next_join_is_under_the_new_keys", {500ms}, {510ms}, 1);
  Rejoin(&both, 1s);
  all.push_back(both);
  Scenario server_first = Renegotiated("the_servers_handshake_ends_first", {560ms}, {500ms}, 1);
  Rejoin(&server_first, 1s);
  all.push_back(server_first);
  for (const bool client : {true, false}) {
    Scenario alone =
        Renegotiated(client ? "the_client_alone" : "the_server_alone",
                     client ? std::vector<Duration>{500ms} : std::vector<Duration>{},
                     client ? std::vector<Duration>{} : std::vector<Duration>{500ms}, 0);
    Rejoin(&alone, 1s);
    all.push_back(alone);
  }
  Scenario between = Renegotiated("a_join_between_the_two_handshakes", {500ms}, {1500ms}, 1);
  Rejoin(&between, 700ms);
  Rejoin(&between, 2s);
  all.push_back(between);
  Scenario twice = Renegotiated("twice_without_a_join", {500ms, 900ms}, {510ms, 910ms}, 2);
  Rejoin(&twice, 1500ms);
  all.push_back(twice);
  Scenario rejoined = Renegotiated("twice_with_joins", {500ms, 1500ms}, {510ms, 1510ms}, 2);
  Rejoin(&rejoined, 1s);
  Rejoin(&rejoined, 2s);
  all.push_back(rejoined);
  // Nobody knows what a peer that never said NEW_KEY of its first key does.
  Scenario silent = Renegotiated("the_first_key_was_never_confirmed", {500ms}, {510ms}, 0);
  silent.prepare = [](World& w) {
    for (size_t path : {0u, 1u}) {
      for (Link* link : {&w.up(path), &w.down(path)}) {
        link->AddLossPattern([](const TcpView& p, uint64_t) { return IsFirstNewKey(p); });
      }
    }
  };
  Rejoin(&silent, 1s);
  all.push_back(silent);
  // An abort after the change is proven by what is new, and taken.
  Scenario abort = Renegotiated("fastclose_under_the_new_keys", {500ms}, {510ms}, 1);
  Rejoin(&abort, 1s);
  abort.exchanges[0].client.ending = Ending::kAbortAfterReceiving;
  abort.exchanges[0].client.abort_after = 16 * kMiB;
  abort.expect.client_end = EndReason::kAborted;
  abort.expect.server_end = EndReason::kReset;
  abort.expect.delivered = false;
  auto said = std::make_shared<std::vector<uint8_t>>();
  abort.prepare = [said](World& w) {
    w.up(0).AddLossPattern([said](const TcpView& p, uint64_t) {
      const auto option = p.FindMptcp(kMpFastclose);
      if (!option.empty()) said->assign(option.begin() + 4, option.end());
      return false;
    });
  };
  abort.check = [said](World& w, std::vector<std::string>* failures) {
    const SimProgram& client = *w.pair(0).client;
    const ConnectionInfo& info = client.final_info();
    const auto expected = FastCloseTag(client.Keys(1), true, info.local_token, info.remote_token);
    Wants(failures, std::ranges::equal(*said, expected), "MP_FASTCLOSE is not under the new keys");
  };
  all.push_back(abort);
  return all;
}

SCENARIO_SUITE(NewKey, Catalogue);
SCENARIO_SUITE(LaterKeys, LaterCatalogue);

}  // namespace
}  // namespace mptcptls::sim
