// A flood of SYNs from a stranger while clients connect: SYN cookies (RFC 4987 3.6) make
// connections that lack nothing, out of no memory.
#include "stack/mptcp/crypto.h"
#include "tests/sim/raw_node.h"
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint8_t kTimestampKind = 8;
constexpr size_t kQueue = 64;  // half-open connections of the server

LinkConfig Wire() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 2'000'000}; }

// Takes timestamps off the SYNs: the connection goes without.
Middlebox StripTimestamps() {
  return [](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && view->has(kSyn)) {
      const auto option = view->FindOption(kTimestampKind);
      std::fill(option.begin(), option.end(), uint8_t{1});
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

// Sends SYNs and never answers what comes back.
class Flooder {
 public:
  explicit Flooder(World* world)
      : world_(world),
        node_(&world->simulator(), world->network(0), "flooder",
              *IpAddress::Parse(world->scenario().family == Family::kV4 ? "10.1.0.99"
                                                                        : "fd00:1:0::99")) {
    node_.set_on_packet([this](const TcpView& p) {
      if (p.has(kSyn | kAck)) syn_acks.push_back({p.tuple(), p.seq()});
      if (p.has(kRst)) ++resets;
    });
  }

  struct SynAck {
    FourTuple tuple;  // local: the server
    uint32_t seq;
  };
  std::vector<SynAck> syn_acks;
  uint64_t resets = 0;

  void Syns(size_t count, Duration interval) {
    if (count == 0) return;
    RawSegment syn;
    syn.tuple = {{node_.address(), ++port_}, {world_->ServerAddress(0), World::kPort}};
    syn.seq = 7000;
    syn.flags = kSyn;
    syn.options = {{2, {0x05, 0xb4}}, {30, {0x01, 0x09}}};
    node_.Send(syn);
    world_->simulator().queue().At(world_->simulator().now() + interval,
                                   [=, this] { Syns(count - 1, interval); });
  }
  void Ack(const SynAck& to, uint32_t cookie) {
    RawSegment ack;
    ack.tuple = {to.tuple.remote, to.tuple.local};
    ack.seq = 7001;
    ack.ack = cookie + 1;
    ack.flags = kAck;
    node_.Send(ack);
  }

 private:
  World* world_;
  RawNode node_;
  uint16_t port_ = 1024;
};

// The flood begins at once and holds the queue full; clients come half a second later.
Scenario Flooded(const std::string& name, int clients, uint64_t bytes) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = Wire(), .down = {}}};
  s.server_config.max_syn_queue = kQueue;
  s.exchanges.clear();
  for (int i = 0; i < clients; ++i) {
    Exchange e;
    e.client.send_bytes = bytes / 10;
    e.server.send_bytes = bytes;
    e.start = 500ms;
    s.exchanges.push_back(e);
  }
  auto most = std::make_shared<size_t>(0);
  s.prepare = [](World& w) {
    auto flooder = std::make_shared<Flooder>(&w);
    w.Keep(flooder);
    flooder->Syns(3000, 1ms);
  };
  for (Duration at = 100ms; at < 3s; at += 100ms) {
    s.events.push_back(
        {at, [most](World& w) { *most = std::max(*most, w.server().host().connection_count()); }});
  }
  s.check = [most, clients](World& w, std::vector<std::string>* failures) {
    const Counters& c = w.server().host().counters();
    Wants(failures, c.syncookies_received == static_cast<uint64_t>(clients),
          std::to_string(c.syncookies_received) + " connections from cookies");
    Wants(failures, c.syncookies_sent >= 400, std::to_string(c.syncookies_sent) + " cookies");
    Wants(failures, c.syncookies_failed == 0, "a cookie failed");
    Wants(failures, c.drop_limits == 0, "a SYN was dropped");
    Wants(failures, *most <= kQueue + static_cast<size_t>(clients),
          std::to_string(*most) + " connections kept");
    Wants(failures, *most >= kQueue, "the queue was never full");
  };
  s.budget = 10s;
  return s;
}

std::vector<Scenario> InAllModes(const Scenario& scenario) {
  std::vector<Scenario> all(3, scenario);
  all[0].expect.mode = Mode::kTlsAuth;
  all[1].name += "_keys";
  all[1].connect = ConnectAs(AuthPolicy::kKeys, false);
  all[1].expect.mode = Mode::kKeys;
  all[2].name += "_tcp";
  all[2].connect = ConnectAs(AuthPolicy::kTcp, false);
  all[2].expect.mode = Mode::kTcp;
  return all;
}

std::vector<Scenario> FloodCatalogue() {
  std::vector<Scenario> all;
  const auto add = [&all](const Scenario& scenario) {
    for (const Scenario& s : InAllModes(scenario)) all.push_back(s);
    Scenario bare = scenario;
    bare.name += "_without_timestamps";
    const auto prepare = bare.prepare;
    bare.prepare = [prepare](World& w) {
      prepare(w);
      w.up(0).AddMiddlebox(StripTimestamps());
    };
    for (const Scenario& s : InAllModes(bare)) all.push_back(s);
  };
  add(Flooded("clients_connect_in_a_flood", 8, 100'000));
  // 6 MB in flight at most: without the peer's scale it would be 48 KB each 200 ms.
  Scenario window = Flooded("flood_and_a_large_window", 1, 10 << 20);
  window.paths[0].up = {.delay = 100ms, .rate = 100'000'000, .queue_bytes = 2'500'000};
  window.budget = 6s;
  add(window);
  // SACK repairs what is lost; without it there would be timeouts.
  Scenario sack = Flooded("flood_and_loss", 1, 2 << 20);
  sack.prepare = [prepare = sack.prepare](World& w) {
    prepare(w);
    w.down(0).AddLossPattern(
        LoseNth(IsData, {100, 101, 103, 105, 106, 107, 300, 302, 305, 500, 501, 502}));
  };
  sack.expect.no_timeout = true;
  add(sack);
  // What the cookie kept is enough for the second path as well.
  Scenario join = Flooded("flood_and_a_second_path", 1, 4 << 20);
  join.paths = {{.up = Wire(), .down = {}}, {.up = Wire(), .down = {}}};
  join.expect.subflows = 2;
  join.expect.least_share = 0.2;
  all.push_back(InAllModes(join)[0]);
  all.push_back(InAllModes(join)[1]);
  Scenario checksums = Flooded("flood_and_checksums", 1, 100'000);
  checksums.server_config.checksum = true;
  all.push_back(InAllModes(checksums)[0]);
  all.push_back(InAllModes(checksums)[1]);
  Scenario steered = Flooded("flood_and_steered_tokens", 1, 100'000);
  steered.server_config.token_server_id_bits = 8;
  steered.server_config.token_server_id = 0x5a;
  steered.check = [check = steered.check](World& w, std::vector<std::string>* failures) {
    check(w, failures);
    Wants(failures, w.pair(0).server->final_info().local_token >> 24 == 0x5a, "not steered");
  };
  all.push_back(InAllModes(steered)[0]);
  Scenario hidden = steered;
  hidden.name = "flood_and_encrypted_tokens";
  constexpr TokenKey kTokenKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  hidden.server_config.token_key = kTokenKey;
  hidden.check = [=](World& w, std::vector<std::string>* failures) {
    const uint32_t token = w.pair(0).server->final_info().local_token;
    Wants(failures, DecryptToken(kTokenKey, token) >> 24 == 0x5a, "not steered");
    Wants(failures, w.Sum(&Counters::syncookies_received) > 0, "no cookie");
  };
  all.push_back(InAllModes(hidden)[0]);
  // The third ACK is lost: the first data returns the cookie.
  Scenario lost = Flooded("flood_and_a_lost_third_ack", 1, 100'000);
  lost.prepare = [prepare = lost.prepare](World& w) {
    prepare(w);
    w.up(0).AddLossPattern(LoseNth(IsPureAck, {0}));
  };
  for (const Scenario& s : InAllModes(lost)) all.push_back(s);
  return all;
}

// One cookie that comes back as it should not, with the flood going on.
std::vector<Scenario> RefusedCatalogue() {
  std::vector<Scenario> all;
  const auto make = [](const std::string& name, Duration at,
                       const std::function<void(Flooder&)>& act) {
    Scenario s = Flooded(name, 1, 1000);
    auto flooder = std::make_shared<std::shared_ptr<Flooder>>();
    s.prepare = [flooder](World& w) {
      *flooder = std::make_shared<Flooder>(&w);
      w.Keep(*flooder);
      (*flooder)->Syns(1500, 100ms);
    };
    s.events = {{at, [flooder, act](World&) { act(**flooder); }}};
    s.exchanges[0].start = at + 1s;
    s.budget = at + 5s;
    s.check = [flooder](World& w, std::vector<std::string>* failures) {
      const Counters& c = w.server().host().counters();
      Wants(failures, c.syncookies_failed == 1, "not counted");
      Wants(failures, (*flooder)->resets == 1, "not answered by one RST");
      flooder->reset();
    };
    return s;
  };
  // The 80th SYN, at 8 s, found no room: there is no state for it.
  const auto cookie = [](Flooder& f) {
    return *std::ranges::find_if(
        f.syn_acks, [](const Flooder::SynAck& a) { return a.tuple.remote.port == 1024 + 80; });
  };
  all.push_back(make("forged_cookie_is_reset", 10s,
                     [cookie](Flooder& f) { f.Ack(cookie(f), cookie(f).seq ^ 0x10000); }));
  all.push_back(make("stale_cookie_is_reset", 121s,
                     [cookie](Flooder& f) { f.Ack(cookie(f), cookie(f).seq); }));
  return all;
}

SCENARIO_SUITE(Flood, FloodCatalogue);
SCENARIO_SUITE(RefusedCookie, RefusedCatalogue);

// A flood at one listener leaves the others their half-open connections.
TEST(SynQueue, ListenerHasItsShareOnly) {
  Scenario s = Flooded("", 1, 1000);
  s.server_config.max_syn_queue = 4 * kQueue;
  s.server_config.max_syn_queue_per_listener = kQueue;
  World world(s, 1);
  EXPECT_THAT(world.Run(), testing::IsEmpty());
}

}  // namespace
}  // namespace mptcptls::sim
