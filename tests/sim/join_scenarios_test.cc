// Who may join, and when: keys that come late, never, or wrong; strangers with and without the
// token; forged segments from outside.
#include <set>

#include "tests/sim/raw_node.h"
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

Scenario Base(const std::string& name, size_t paths = 2) {
  Scenario s;
  s.name = name;
  s.paths.assign(paths,
                 {.up = {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}, .down = {}});
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges[0].server.send_bytes = 8 * kMiB;
  s.expect.mode = Mode::kTlsAuth;
  s.expect.subflows = paths;
  s.budget = 10s;
  return s;
}

uint32_t Big32(std::span<const uint8_t> b) {
  return static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 |
         static_cast<uint32_t>(b[2]) << 8 | b[3];
}

std::vector<Scenario> KeyCatalogue() {
  std::vector<Scenario> all;
  Scenario parked = Base("join_before_the_servers_key_is_parked");
  // The server has one address, and the client reaches it from both of its own.
  parked.mesh = true;
  parked.prepare = [](World& w) { w.server().SetUplinkUp(1, false); };
  parked.expect.subflows = std::nullopt;
  parked.exchanges[0].server.key_delay = 500ms;
  // The key comes after 560 ms; the SYN would be repeated only after a second.
  auto joined_early = std::make_shared<bool>(false);
  parked.events = {
      {900ms, [joined_early](World& w) { *joined_early = w.Sum(&Counters::joins_accepted) > 0; }}};
  parked.check = [joined_early](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.server().host().counters().joins_parked > 0, "nothing was parked");
    Wants(failures, *joined_early, "the key came, and the parked join was not served");
    Wants(failures, w.Sum(&Counters::joins_accepted) > 0, "no join was accepted");
    Wants(failures, w.client().host().counters().joins_sent <= 2, "joins were tried again");
  };
  all.push_back(parked);
  // Longer than a join stays parked: the client's repetition of the SYN is answered.
  Scenario long_wait = Base("servers_key_comes_after_five_seconds");
  long_wait.mesh = true;
  long_wait.expect.subflows = std::nullopt;
  long_wait.exchanges[0].server.key_delay = 5s;
  long_wait.exchanges[0].server.send_bytes = 100 * kMiB;
  long_wait.budget = 30s;
  all.push_back(long_wait);
  Scenario client_late = Base("clients_key_comes_late");
  client_late.exchanges[0].client.key_delay = 700ms;
  all.push_back(client_late);

  for (bool client : {true, false}) {
    Scenario none = Base(client ? "client_gets_no_key" : "server_gets_no_key");
    (client ? none.exchanges[0].client : none.exchanges[0].server).refuse_keys = true;
    none.expect.subflows = std::nullopt;
    none.check = [](World& w, std::vector<std::string>* failures) {
      Wants(failures, w.Sum(&Counters::joins_accepted) == 0, "a join without a key was accepted");
      Wants(failures, w.PayloadOn(1) == 0, "payload on a path without a key");
    };
    all.push_back(none);
  }
  Scenario neither = Base("neither_gets_a_key");
  neither.mesh = true;
  neither.exchanges[0].client.refuse_keys = neither.exchanges[0].server.refuse_keys = true;
  neither.expect.subflows = 1;
  neither.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::joins_sent) == 0, "a join was sent without a key");
  };
  all.push_back(neither);
  Scenario wrong = Base("the_two_ends_have_different_keys");
  wrong.mesh = true;
  wrong.exchanges[0].server.wrong_key = 4711;
  wrong.expect.subflows = std::nullopt;
  wrong.check = [](World& w, std::vector<std::string>* failures) {
    // The client sees it first, on the SYN/ACK, and shows its own HMAC to nobody.
    Wants(failures, w.client().host().counters().joins_refused_hmac > 0, "no HMAC was refused");
    Wants(failures, w.server().host().counters().joins_refused_hmac == 0, "a third ACK was sent");
    Wants(failures, w.Sum(&Counters::joins_accepted) == 0, "a join with a wrong HMAC was accepted");
    Wants(failures, w.PayloadOn(1) == 0, "payload on a path with a wrong HMAC");
  };
  all.push_back(wrong);
  // On networks apart the server's other address is known from ADD_ADDR only.
  Scenario forged_address = Base("add_addr_under_another_key_is_refused");
  forged_address.exchanges[0].server.wrong_key = 4711;
  forged_address.expect.subflows = 1;
  forged_address.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::add_addr_refused) > 0, "no ADD_ADDR was refused");
    Wants(failures, w.Sum(&Counters::add_addr_received) == 0, "a wrong ADD_ADDR was taken");
  };
  all.push_back(forged_address);
  Scenario no_tls = Base("tls_never_completes");
  no_tls.exchanges[0].client.tls = no_tls.exchanges[0].server.tls = false;
  no_tls.expect.subflows = 1;
  all.push_back(no_tls);

  const auto lose = [&](const std::string& name, bool client, auto which) {
    Scenario s = Base(name);
    s.prepare = [=](World& w) {
      (client ? w.up(1) : w.down(1)).AddLossPattern(LoseNth(which, {0}));
    };
    s.exchanges[0].server.send_bytes = 32 * kMiB;
    s.expect.least_share = 0.1;
    all.push_back(s);
  };
  lose("join_syn_lost", true, IsSyn);
  lose("join_syn_ack_lost", false, IsSynAck);
  lose("join_third_ack_lost", true, IsPureAck);
  lose("answer_to_the_third_ack_lost", false, IsPureAck);
  Scenario strip = Base("second_path_strips_mp_join");
  strip.prepare = [](World& w) {
    w.up(1).AddMiddlebox(StripMptcp([](const TcpView&) { return true; }));
    w.down(1).AddMiddlebox(StripMptcp([](const TcpView&) { return true; }));
  };
  strip.expect.subflows = std::nullopt;
  strip.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.PayloadOn(1) == 0, "payload on a path that strips MP_JOIN");
  };
  all.push_back(strip);
  Scenario altered = Base("second_path_alters_payload");
  altered.client_config.checksum = true;
  altered.prepare = [](World& w) { w.down(1).AddMiddlebox(AlterPayload(20)); };
  altered.expect.subflows = std::nullopt;
  altered.check = [](World& w, std::vector<std::string>* failures) {
    Wants(failures, w.Sum(&Counters::checksum_errors) > 0, "no checksum error was counted");
  };
  all.push_back(altered);
  return all;
}

// Someone on the first network who sees what the client sends, and can send as himself.
class Stranger {
 public:
  Stranger(World* world, size_t network)
      : world_(world),
        node_(&world->simulator(), world->network(network), "stranger",
              *IpAddress::Parse(world->scenario().family == Family::kV4
                                    ? "10.1." + std::to_string(network) + ".99"
                                    : "fd00:1:" + std::to_string(network) + "::99")) {
    world->up(0).AddLossPattern([this](const TcpView& p, uint64_t) {
      Watch(p);
      return false;
    });
    node_.set_on_packet([this](TcpView p) { OnPacket(p); });
  }

  // What was seen of the client's first subflow.
  FourTuple tuple;
  uint32_t server_token = 0, client_next = 0, server_next = 0;
  // Called with each SYN/ACK that the stranger gets.
  std::function<void(const TcpView&)> on_syn_ack;
  uint64_t resets = 0, syn_acks = 0;
  std::set<uint16_t> ports_answered;  // with a SYN/ACK
  int reset_reason = -1;
  Time first_reset = kNever;

  void SendJoin(uint32_t token, uint16_t port) {
    RawSegment syn;
    syn.tuple = {{node_.address(), port}, {world_->ServerAddress(0), World::kPort}};
    syn.seq = 7000;
    syn.flags = kSyn;
    syn.options = {{2, {0x05, 0xb4}}, {30, JoinSynOption(9, token, 0x01020304)}};
    node_.Send(syn);
  }
  void SendThirdAck(const TcpView& syn_ack, std::span<const uint8_t> hmac) {
    RawSegment ack;
    ack.tuple = {{syn_ack.destination(), syn_ack.destination_port()},
                 {syn_ack.source(), syn_ack.source_port()}};
    ack.seq = 7001;
    ack.ack = syn_ack.seq() + 1;
    ack.flags = kAck;
    ack.options = {{30, JoinAckOption(hmac)}};
    node_.Send(ack);
  }
  // As if from the client.
  void Forge(uint8_t flags, uint32_t seq, std::vector<uint8_t> payload = {}) {
    RawSegment s;
    s.tuple = tuple;
    s.seq = seq;
    s.ack = server_next;
    s.flags = flags;
    s.payload = std::move(payload);
    node_.Send(s);
  }

 private:
  void Watch(const TcpView& p) {
    if (p.has(kSyn)) return;
    tuple = p.tuple();
    client_next = p.seq() + static_cast<uint32_t>(p.payload().size());
    server_next = p.ack();
    const auto capable = p.FindMptcp(kMpCapable);
    if (capable.size() >= 12 && server_token == 0) server_token = Big32(capable.subspan(8, 4));
  }
  void OnPacket(const TcpView& p) {
    if (p.has(kRst)) {
      ++resets;
      if (first_reset == kNever) first_reset = world_->simulator().now();
      const auto reason = p.FindMptcp(kMpTcprst);
      if (reason.size() == 4) reset_reason = reason[3];
    }
    if (p.has(kSyn | kAck)) {
      ++syn_acks;
      ports_answered.insert(p.destination_port());
      if (on_syn_ack) on_syn_ack(p);
    }
  }

  World* world_;
  RawNode node_;
};

// A scenario with a stranger, who acts at `at`.
Scenario WithStranger(
    const std::string& name, Duration at, const std::function<void(World&, Stranger&)>& act,
    const std::function<void(World&, Stranger&, std::vector<std::string>*)>& check) {
  Scenario s = Base(name);
  auto who = std::make_shared<std::shared_ptr<Stranger>>();
  s.prepare = [who](World& w) {
    *who = std::make_shared<Stranger>(&w, 0);
    w.Keep(*who);
  };
  s.events = {{at, [who, act](World& w) { act(w, **who); }}};
  s.check = [who, check](World& w, std::vector<std::string>* failures) {
    check(w, **who, failures);
    who->reset();
  };
  s.expect.subflows = std::nullopt;
  return s;
}

std::vector<Scenario> StrangerCatalogue() {
  std::vector<Scenario> all;
  all.push_back(WithStranger(
      "join_with_an_unknown_token", 300ms,
      [](World&, Stranger& s) { s.SendJoin(~s.server_token, 5555); },
      [](World& w, Stranger& s, std::vector<std::string>* failures) {
        Wants(failures, s.resets == 1 && s.syn_acks == 0, "not answered by one RST");
        Wants(failures, s.reset_reason == 1, "MP_TCPRST reason " + std::to_string(s.reset_reason));
        Wants(failures, w.server().host().counters().joins_refused_token == 1, "not counted");
      }));
  all.push_back(WithStranger(
      "join_with_a_wrong_hmac", 300ms,
      [](World&, Stranger& s) {
        s.on_syn_ack = [&s](const TcpView& p) {
          s.SendThirdAck(p, std::vector<uint8_t>(20, 0x5a));
        };
        s.SendJoin(s.server_token, 5555);
      },
      [](World& w, Stranger& s, std::vector<std::string>* failures) {
        Wants(failures, s.server_token != 0, "no token was seen");
        Wants(failures, s.syn_acks >= 1, "the right token was not answered");
        Wants(failures, s.resets >= 1, "the wrong HMAC was not answered by RST");
        Wants(failures, s.reset_reason == 1, "MP_TCPRST reason " + std::to_string(s.reset_reason));
        Wants(failures, w.server().host().counters().joins_refused_hmac == 1, "not counted");
      }));
  // The HMAC that the server itself put on the SYN/ACK, sent back.
  all.push_back(WithStranger(
      "join_that_reflects_the_servers_hmac", 300ms,
      [](World&, Stranger& s) {
        s.on_syn_ack = [&s](const TcpView& p) {
          const auto join = p.FindMptcp(kMpJoin);
          std::vector<uint8_t> hmac(join.begin() + 4, join.begin() + 12);
          hmac.resize(20);
          s.SendThirdAck(p, hmac);
        };
        s.SendJoin(s.server_token, 5555);
      },
      [](World& w, Stranger&, std::vector<std::string>* failures) {
        Wants(failures, w.server().host().counters().joins_refused_hmac == 1, "not counted");
      }));
  all.push_back(WithStranger(
      "flood_of_half_open_joins", 300ms,
      [](World&, Stranger& s) {
        for (uint16_t port = 1; port < 500; ++port) s.SendJoin(s.server_token, port);
      },
      [](World& w, Stranger& s, std::vector<std::string>* failures) {
        Wants(failures, s.syn_acks > 0, "the right token was not answered");
        Wants(failures, s.ports_answered.size() <= 16,
              std::to_string(s.ports_answered.size()) + " half-open joins at once");
        Wants(failures, w.Sum(&Counters::joins_accepted) >= 1, "our own join was crowded out");
      }));
  // The stranger's way is shorter than the client's.
  all.push_back(WithStranger(
      "join_before_the_third_ack", 22ms,
      [](World&, Stranger& s) { s.SendJoin(s.server_token, 7777); },
      [](World& w, Stranger& s, std::vector<std::string>* failures) {
        Wants(failures, s.server_token != 0, "no token was seen");
        // With the connection the half-open join ends as well.
        Wants(failures, s.first_reset > Time(500ms), "an early join was refused");
        Wants(failures, w.server().host().counters().joins_parked >= 1, "it was not parked");
        Wants(failures, s.syn_acks > 0, "it was never answered");
      }));
  // Before the keys: parked within bounds, forgotten in time, the real join still served.
  Scenario early = WithStranger(
      "flood_of_early_joins", 60ms,
      [](World&, Stranger& s) {
        for (uint16_t port = 1; port < 500; ++port) s.SendJoin(s.server_token, port);
      },
      [](World& w, Stranger& s, std::vector<std::string>* failures) {
        Wants(failures, s.server_token != 0, "no token was seen");
        Wants(failures, s.first_reset > Time(250ms), "an early join was refused");
        const Counters& c = w.server().host().counters();
        Wants(failures, c.joins_parked > 0 && c.joins_park_overflow > 400, "bounds of parking");
        Wants(failures, w.PayloadOn(1) > kMiB, "our own join was crowded out");
      });
  early.exchanges[0].server.key_delay = 200ms;
  early.exchanges[0].server.send_bytes = 32 * kMiB;
  all.push_back(early);

  const auto forged = [&](const std::string& name,
                          const std::function<void(World&, Stranger&)>& act) {
    all.push_back(
        WithStranger(name, 300ms, act, [](World& w, Stranger&, std::vector<std::string>* failures) {
          Wants(failures,
                w.server().host().counters().challenge_acks +
                        w.server().host().counters().drop_out_of_window >
                    0,
                "nothing was challenged or refused");
        }));
  };
  forged("forged_reset_out_of_window", [](World&, Stranger& s) {
    for (uint32_t i = 1; i <= 40; ++i) s.Forge(kRst, s.client_next + i * 0x05000000);
  });
  // In the window but not exactly next: a challenge ACK, no reset (RFC 5961 3).
  forged("forged_reset_in_window", [](World&, Stranger& s) {
    for (uint32_t i = 1; i <= 10; ++i) s.Forge(kRst | kAck, s.client_next + i * 1000);
  });
  forged("forged_syn", [](World&, Stranger& s) { s.Forge(kSyn, s.client_next + 10); });
  forged("forged_old_data", [](World&, Stranger& s) {
    s.Forge(kAck | kPsh, s.client_next - 0x40000000, std::vector<uint8_t>(100, 0xee));
  });
  return all;
}

SCENARIO_SUITE(Keys, KeyCatalogue);
SCENARIO_SUITE(Strangers, StrangerCatalogue);

}  // namespace
}  // namespace mptcptls::sim
