// The three outcomes of PROTOCOL.md 1: which mode two policies make, what middleboxes turn it into,
// and what the capability cache remembers.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

Scenario Base(const std::string& name, Mode mode) {
  Scenario s;
  s.name = name;
  s.paths.assign(2,
                 {.up = {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}, .down = {}});
  s.exchanges[0].client.send_bytes = 100'000;
  s.exchanges[0].server.send_bytes = 2 * kMiB;
  s.expect.mode = mode;
  s.budget = 3s;
  return s;
}

std::vector<Scenario> PolicyCatalogue() {
  struct Row {
    const char* name;
    AuthPolicy client;
    bool client_tls;
    AuthPolicy server;
    bool server_tls;
    Mode mode;
  };
  using A = AuthPolicy;
  static constexpr Row kRows[] = {
      {"auto_auto", A::kAuto, true, A::kAuto, true, Mode::kTlsAuth},
      {"auto_without_tls_auto", A::kAuto, false, A::kAuto, true, Mode::kKeys},
      {"auto_auto_without_tls", A::kAuto, true, A::kAuto, false, Mode::kKeys},
      {"auto_tls", A::kAuto, true, A::kTls, true, Mode::kTlsAuth},
      {"auto_keys", A::kAuto, true, A::kKeys, true, Mode::kKeys},
      {"auto_tcp", A::kAuto, true, A::kTcp, true, Mode::kTcp},
      {"tls_auto", A::kTls, true, A::kAuto, true, Mode::kTlsAuth},
      {"tls_tls", A::kTls, true, A::kTls, true, Mode::kTlsAuth},
      {"tls_keys", A::kTls, true, A::kKeys, true, Mode::kTcp},
      {"tls_tcp", A::kTls, true, A::kTcp, true, Mode::kTcp},
      {"keys_auto", A::kKeys, true, A::kAuto, true, Mode::kKeys},
      {"keys_tls", A::kKeys, true, A::kTls, true, Mode::kTcp},
      {"keys_keys", A::kKeys, true, A::kKeys, true, Mode::kKeys},
      {"keys_tcp", A::kKeys, true, A::kTcp, true, Mode::kTcp},
      {"tcp_auto", A::kTcp, true, A::kAuto, true, Mode::kTcp},
      {"tcp_tls", A::kTcp, true, A::kTls, true, Mode::kTcp},
  };
  std::vector<Scenario> all;
  for (const Row& row : kRows) {
    Scenario s = Base(row.name, row.mode);
    s.connect = ConnectAs(row.client, row.client_tls);
    s.listen = ListenAs(row.server, row.server_tls);
    s.expect.subflows = row.mode == Mode::kTcp ? 1 : 2;
    all.push_back(s);
  }
  Scenario clear = Base("auto_on_a_clear_port", Mode::kKeys);
  clear.connect.clear_port = true;
  all.push_back(clear);
  return all;
}

bool Any(const TcpView&) { return true; }

// Every place where a middlebox may take the options off, for both modes.
std::vector<Scenario> StripCatalogue() {
  std::vector<Scenario> all;
  const auto strip = [&](const std::string& name, bool up, bool down, const Selector& which) {
    for (bool tls : {true, false}) {
      Scenario s = Base(name + (tls ? "_tls" : "_keys"), Mode::kTcp);
      s.connect = ConnectAs(tls ? AuthPolicy::kAuto : AuthPolicy::kKeys, tls);
      s.prepare = [=](World& w) {
        if (up) w.up(0).AddMiddlebox(StripMptcp(which));
        if (down) w.down(0).AddMiddlebox(StripMptcp(which));
      };
      s.check = [](World& w, std::vector<std::string>* failures) {
        Wants(failures, w.Sum(&Counters::joins_accepted) == 0, "a join after fallback");
      };
      all.push_back(s);
    }
  };
  strip("stripped_from_everything", true, true, Any);
  strip("stripped_from_the_syn", true, false, IsSyn);
  strip("stripped_from_the_syn_ack", false, true, IsSynAck);
  strip("stripped_from_all_but_syns", true, true, [](const TcpView& p) { return !p.has(kSyn); });
  strip("stripped_from_the_client_after_its_syn", true, false,
        [](const TcpView& p) { return !p.has(kSyn); });
  strip("stripped_from_the_server_after_its_syn_ack", false, true,
        [](const TcpView& p) { return !p.has(kSyn); });
  strip("stripped_from_data_only", true, true, IsData);

  Scenario echo = Base("the_servers_side_echoes_mp_capable", Mode::kTcp);
  echo.prepare = [](World& w) {
    const EchoPair pair = EchoMpCapable();
    w.up(0).AddMiddlebox(pair.towards_server);
    w.down(0).AddMiddlebox(pair.towards_client);
  };
  all.push_back(echo);
  // The third transmission of the SYN carries no option (PROTOCOL.md 1): 1 s and 2 s of waiting.
  Scenario firewall = Base("syns_with_the_option_are_dropped", Mode::kTcp);
  firewall.prepare = [](World& w) { w.up(0).AddMiddlebox(DropMptcp(IsSyn)); };
  firewall.budget = 6s;
  all.push_back(firewall);
  Scenario split = Base("segments_are_split_on_the_way", Mode::kTlsAuth);
  split.prepare = [](World& w) {
    for (size_t i : {0u, 1u}) {
      w.up(i).AddMiddlebox(Split(500));
      w.down(i).AddMiddlebox(Split(500));
    }
  };
  split.expect.subflows = 2;
  all.push_back(split);
  Scenario coalesce = Base("plain_tcp_is_coalesced_on_the_way", Mode::kTcp);
  coalesce.connect = ConnectAs(AuthPolicy::kTcp, false);
  for (PathPlan& p : coalesce.paths) p.up.mtu = 4000;
  coalesce.prepare = [](World& w) {
    w.up(0).AddMiddlebox(Coalesce(3000));
    w.down(0).AddMiddlebox(Coalesce(3000));
  };
  coalesce.budget = 20s;
  all.push_back(coalesce);
  return all;
}

// Flags of the MP_CAPABLE on each first SYN that leaves the client, -1 where there is none.
std::shared_ptr<std::vector<int>> WatchOffers(World& w) {
  auto offers = std::make_shared<std::vector<int>>();
  w.up(0).AddLossPattern([offers](const TcpView& p, uint64_t) {
    if (IsSyn(p)) {
      const auto capable = p.FindMptcp(kMpCapable);
      offers->push_back(capable.size() == 4 ? capable[3] : -1);
    }
    return false;
  });
  return offers;
}

std::vector<Scenario> CacheCatalogue() {
  std::vector<Scenario> all;
  const auto sequence = [&](const std::string& name, AuthPolicy server,
                            const std::vector<int>& expected, const std::vector<Duration>& starts,
                            bool tls = true) {
    Scenario s = Base(name, Mode::kTcp);
    s.expect.mode = std::nullopt;
    s.paths.resize(1);
    s.listen = ListenAs(server, true);
    s.exchanges.clear();
    for (Duration start : starts) {
      Exchange e;
      e.client.send_bytes = e.server.send_bytes = 1000;
      e.client.tls = e.server.tls = tls;
      e.start = start;
      s.exchanges.push_back(e);
    }
    auto offers = std::make_shared<std::shared_ptr<std::vector<int>>>();
    s.prepare = [offers](World& w) { *offers = WatchOffers(w); };
    s.check = [offers, expected](World&, std::vector<std::string>* failures) {
      std::string seen;
      for (int o : **offers) seen += " " + std::to_string(o);
      Wants(failures, **offers == expected, "offers on the wire:" + seen);
    };
    s.budget = 1000s;
    all.push_back(s);
  };
  sequence("plain_server_is_remembered", AuthPolicy::kTcp, {9, 1, -1, -1, 9},
           {0s, 5s, 10s, 20s, 900s});
  sequence("keys_server_is_offered_tls_first", AuthPolicy::kKeys, {9, 9}, {0s, 5s});
  sequence("tls_server_stays_tls", AuthPolicy::kAuto, {9, 9, 9}, {0s, 5s, 10s});
  // Data went both ways and no TLS ever came: the next connection need not offer it.
  sequence("destination_without_tls_is_clear", AuthPolicy::kAuto, {9, 1, 1}, {0s, 5s, 10s}, false);
  return all;
}

// RFC 8684 3.7: a middlebox changes a byte, and there is only one subflow. The program gets what
// TCP would have given it, and every other byte as it was.
std::vector<Scenario> ChecksumCatalogue() {
  std::vector<Scenario> all;
  const auto alter = [&](const std::string& name, std::optional<uint64_t> up,
                         std::optional<uint64_t> down, double loss) {
    Scenario s = Base(name, Mode::kTcp);
    s.paths.resize(1);
    s.paths[0].up.loss = loss;
    s.client_config.checksum = true;
    s.exchanges[0].client.altered = down ? 1 : 0;
    s.exchanges[0].server.altered = up ? 1 : 0;
    s.prepare = [=](World& w) {
      if (up) w.up(0).AddMiddlebox(AlterPayload(*up));
      if (down) w.down(0).AddMiddlebox(AlterPayload(*down));
    };
    s.check = [=](World& w, std::vector<std::string>* failures) {
      for (const SimProgram* p : {w.pair(0).client.get(), w.pair(0).server.get()}) {
        Wants(failures, p->altered() == p->plan().altered, p->name() + " got no changed byte");
      }
      Wants(failures, w.Sum(&Counters::fallbacks) == 2, "both hosts fall back");
      Wants(failures, w.Sum(&Counters::mp_fail_sent) >= 2, "MP_FAIL is answered by MP_FAIL");
      Wants(failures, w.Sum(&Counters::resets_sent) == 0, "a reset");
    };
    s.budget = 20s;
    all.push_back(s);
  };
  alter("one_path_alters_the_first_bytes", 0, std::nullopt, 0);
  alter("one_path_alters_bytes_to_the_server", 20, std::nullopt, 0);
  alter("one_path_alters_bytes_to_the_client", std::nullopt, 200, 0);
  alter("one_path_alters_bytes_both_ways", 5, 10, 0);
  alter("one_path_alters_bytes_and_loses_some", 20, 200, 0.02);
  return all;
}

SCENARIO_SUITE(Policy, PolicyCatalogue);
SCENARIO_SUITE(Stripped, StripCatalogue);
SCENARIO_SUITE(Checksum, ChecksumCatalogue);
SCENARIO_SUITE(Cache, CacheCatalogue);

}  // namespace
}  // namespace mptcptls::sim
