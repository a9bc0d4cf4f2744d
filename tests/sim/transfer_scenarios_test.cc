// One path: bytes arrive once, in order and in good time, whatever the wire does to packets.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

// 50 Mbit/s, 20 ms round trip, a queue of twice the bandwidth-delay product.
LinkConfig Dsl() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

Exchange Download(uint64_t bytes) {
  Exchange e;
  e.client.send_bytes = 200;
  e.client.ending = Ending::kShutdownAfterPeer;
  e.server.send_bytes = bytes;
  return e;
}

Exchange Upload(uint64_t bytes) {
  Exchange e;
  e.client.send_bytes = bytes;
  e.server.send_bytes = 200;
  e.server.ending = Ending::kShutdownAfterPeer;
  return e;
}

Exchange BothWays(uint64_t bytes) {
  Exchange e;
  e.client.send_bytes = e.server.send_bytes = bytes;
  return e;
}

LinkConfig With(LinkConfig config, const std::function<void(LinkConfig*)>& change) {
  change(&config);
  return config;
}

Scenario Base(const std::string& name, const LinkConfig& link, const Exchange& exchange) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = link, .down = {}}};
  s.exchanges = {exchange};
  s.expect.mode = Mode::kTlsAuth;
  s.expect.subflows = 1;
  return s;
}

// 4 MiB at 50 Mbit/s take 0.67 s; slow start and the handshakes have the rest.
std::vector<Scenario> CleanCatalogue() {
  std::vector<Scenario> all;
  for (auto [name, exchange] : {std::pair{"clean_download", Download(4 * kMiB)},
                                {"clean_upload", Upload(4 * kMiB)},
                                {"clean_both_ways", BothWays(4 * kMiB)}}) {
    Scenario s = Base(name, Dsl(), exchange);
    s.budget = 1500ms;
    s.expect.no_timeout = true;
    all.push_back(s);
  }
  all.push_back(Base("one_byte", Dsl(), BothWays(1)));
  all.push_back(Base("no_byte", Dsl(), BothWays(0)));
  Scenario fast = Base("offload_and_gro",
                       {.delay = 1ms, .rate = 1'000'000'000, .queue_bytes = 4 * kMiB, .gro = 50us},
                       BothWays(16 * kMiB));
  fast.budget = 1s;
  fast.expect.no_timeout = true;
  all.push_back(fast);
  Scenario whole =
      Base("whole_segments_partial_checksums",
           {.delay = 100us, .offload = true, .complete_checksums = false}, BothWays(16 * kMiB));
  whole.budget = 1s;
  whole.expect.no_timeout = true;
  all.push_back(whole);
  Scenario small = Base("small_mtu", With(Dsl(), [](auto* l) { l->mtu = 1280; }), BothWays(kMiB));
  small.budget = 1s;
  all.push_back(small);
  Scenario no_offload = Base("no_segmentation", Dsl(), BothWays(kMiB));
  no_offload.client_config.segmentation = no_offload.server_config.segmentation = false;
  no_offload.budget = 1s;
  all.push_back(no_offload);
  Scenario checksum = Base("checksum_on", Dsl(), BothWays(kMiB));
  checksum.client_config.checksum = true;
  checksum.budget = 1s;
  all.push_back(checksum);
  Scenario satellite =
      Base("satellite", {.delay = 300ms, .rate = 10'000'000, .queue_bytes = 2'000'000},
           Download(4 * kMiB));
  satellite.budget = 12s;
  all.push_back(satellite);
  Scenario many = Base("fifty_connections", Dsl(), BothWays(50'000));
  many.exchanges.assign(50, BothWays(50'000));
  many.budget = 10s;
  all.push_back(many);
  return all;
}

std::vector<Scenario> LossCatalogue() {
  std::vector<Scenario> all;
  for (auto [name, exchange] : {std::pair{"loss_1_percent_download", Download(4 * kMiB)},
                                {"loss_1_percent_upload", Upload(4 * kMiB)}}) {
    Scenario s = Base(name, With(Dsl(), [](auto* l) { l->loss = 0.01; }), exchange);
    s.budget = 20s;
    s.expect.thrifty = true;
    all.push_back(s);
  }
  Scenario heavy =
      Base("loss_10_percent", With(Dsl(), [](auto* l) { l->loss = 0.1; }), BothWays(300'000));
  heavy.budget = 60s;
  all.push_back(heavy);
  Scenario reorder = Base("reorder",
                          With(Dsl(),
                               [](auto* l) {
                                 l->reorder = 0.05;
                                 l->reorder_delay = 2ms;
                                 l->queue_bytes = kMiB;  // nothing is lost
                               }),
                          BothWays(2 * kMiB));
  reorder.budget = 10s;
  reorder.expect.no_timeout = true;
  all.push_back(reorder);
  Scenario duplicates = Base("duplicates",
                             With(Dsl(),
                                  [](auto* l) {
                                    l->duplicate = 0.1;
                                    l->queue_bytes = kMiB;  // nothing is lost
                                  }),
                             BothWays(2 * kMiB));
  duplicates.budget = 3s;
  duplicates.expect.no_timeout = true;
  all.push_back(duplicates);
  Scenario queue = Base("short_queue", With(Dsl(), [](auto* l) { l->queue_bytes = 30'000; }),
                        Download(4 * kMiB));
  queue.budget = 5s;
  queue.expect.thrifty = true;
  all.push_back(queue);

  // Named after what they lose; SACK repairs each without a timeout.
  const auto sack = [&](const std::string& name, const std::vector<uint64_t>& numbers) {
    Scenario s = Base("sack_" + name, Dsl(), Download(kMiB));
    s.prepare = [numbers](World& w) { w.down(0).AddLossPattern(LoseNth(IsData, numbers)); };
    s.budget = 2s;
    s.expect.no_timeout = true;
    s.expect.thrifty = true;
    all.push_back(s);
  };
  sack("single_loss", {100});
  sack("burst_of_ten", {100, 101, 102, 103, 104, 105, 106, 107, 108, 109});
  sack("every_other_of_twenty", {100, 102, 104, 106, 108, 110, 112, 114, 116, 118});
  sack("loss_in_slow_start", {12, 13, 20});

  Scenario acks = Base("lost_acknowledgements", Dsl(), Download(kMiB));
  acks.prepare = [](World& w) {
    w.up(0).AddLossPattern([](const TcpView& p, uint64_t n) { return IsPureAck(p) && n % 3 == 0; });
  };
  acks.budget = 3s;
  all.push_back(acks);
  Scenario no_sack =
      Base("path_without_sack", With(Dsl(), [](auto* l) { l->loss = 0.005; }), Download(kMiB));
  no_sack.prepare = [](World& w) { w.up(0).AddMiddlebox(StripSackPermitted()); };
  no_sack.budget = 30s;
  all.push_back(no_sack);
  Scenario tail = Base("last_data_packet_lost", Dsl(), Download(100'000));
  tail.prepare = [](World& w) {
    w.down(0).AddLossPattern([lost = false](const TcpView& p, uint64_t) mutable {
      if (lost || !p.has(kPsh) || p.payload().empty() || p.payload().size() >= 1300) return false;
      return lost = true;
    });
  };
  tail.budget = 3s;
  all.push_back(tail);
  return all;
}

std::vector<Scenario> HandshakeLossCatalogue() {
  std::vector<Scenario> all;
  const auto lose = [&](const std::string& name, bool client, auto which, std::vector<uint64_t> n,
                        Duration budget) {
    Scenario s = Base(name, Dsl(), BothWays(100'000));
    s.prepare = [=](World& w) { (client ? w.up(0) : w.down(0)).AddLossPattern(LoseNth(which, n)); };
    s.budget = budget;
    all.push_back(s);
    return &all.back();
  };
  lose("syn_lost", true, IsSyn, {0}, 3s);
  lose("syn_lost_twice_falls_back", true, IsSyn, {0, 1}, 6s)->expect.mode = Mode::kTcp;
  lose("syn_ack_lost", false, IsSynAck, {0}, 3s);
  lose("third_ack_lost", true, IsPureAck, {0}, 3s);
  lose(
      "third_ack_and_first_data_lost", true, [](const TcpView& p) { return !IsSyn(p); }, {0, 1},
      5s);
  lose("first_client_data_lost", true, IsData, {0}, 4s);
  lose("first_server_ack_lost", false, IsPureAck, {0}, 4s);
  lose("first_server_data_lost", false, IsData, {0}, 4s);
  lose("client_fin_lost", true, IsFin, {0}, 4s);
  lose("server_fin_lost", false, IsFin, {0}, 4s);
  Scenario twice = Base("every_handshake_packet_twice",
                        With(Dsl(), [](auto* l) { l->duplicate = 1; }), BothWays(20'000));
  twice.budget = 3s;
  all.push_back(twice);
  Scenario nobody = Base("nobody_answers", Dsl(), BothWays(10));
  nobody.prepare = [](World& w) { w.up(0).set_black_hole(true); };
  nobody.budget = 200s;
  nobody.expect = {.mode = {},
                   .client_end = EndReason::kTimedOut,
                   .server_end = {},
                   .subflows = {},
                   .delivered = false};
  all.push_back(nobody);
  Scenario refused = Base("nobody_listens", Dsl(), BothWays(10));
  refused.prepare = [](World& w) {
    w.server().host().CloseListener(w.simulator().now(), w.listener());
  };
  refused.budget = 1s;
  refused.expect = nobody.expect;
  refused.expect.client_end = EndReason::kRefused;
  all.push_back(refused);
  Scenario full = Base("full_backlog_then_room", Dsl(), BothWays(10'000));
  full.prepare = [](World& w) { w.set_can_accept(false); };
  full.events = {{500ms, [](World& w) { w.set_can_accept(true); }}};
  full.budget = 5s;
  all.push_back(full);
  return all;
}

std::vector<Scenario> WindowCatalogue() {
  std::vector<Scenario> all;
  Scenario slow = Base("slow_reader", Dsl(), Download(kMiB));
  slow.exchanges[0].client.read_chunk = 10'000;
  slow.exchanges[0].client.read_interval = 20ms;
  slow.client_config.receive_buffer = 128 * 1024;
  slow.budget = 10s;
  all.push_back(slow);
  Scenario tiny = Base("tiny_window", Dsl(), Download(100'000));
  tiny.client_config.receive_buffer = 4096;
  tiny.budget = 20s;
  all.push_back(tiny);
  Scenario zero = Base("zero_window_for_a_minute", Dsl(), Download(2 * kMiB));
  zero.client_config.receive_buffer = 256 * 1024;
  zero.exchanges[0].client.read_pause_at = 300ms;
  zero.exchanges[0].client.read_pause = 60s;
  zero.budget = 70s;
  zero.check = [](World& w, std::vector<std::string>* failures) {
    if (w.Sum(&Counters::zero_window_probes) == 0) failures->push_back("no window probe was sent");
  };
  all.push_back(zero);
  // The update that opens the window again is lost: only a probe can end the silence.
  Scenario update = Base("window_update_lost", Dsl(), Download(2 * kMiB));
  update.client_config.receive_buffer = 256 * 1024;
  update.exchanges[0].client.read_pause_at = 300ms;
  update.exchanges[0].client.read_pause = 5s;
  update.events = {{5200ms, [](World& w) { w.up(0).set_black_hole(true); }},
                   {6500ms, [](World& w) { w.up(0).set_black_hole(false); }}};
  update.budget = 40s;
  all.push_back(update);
  Scenario both = Base("both_read_slowly", Dsl(), BothWays(300'000));
  for (ProgramPlan* p : {&both.exchanges[0].client, &both.exchanges[0].server}) {
    p->read_chunk = 5000;
    p->read_interval = 10ms;
  }
  both.client_config.receive_buffer = both.server_config.receive_buffer = 65536;
  both.budget = 10s;
  all.push_back(both);
  Scenario small_writes = Base("small_writes", Dsl(), BothWays(20'000));
  for (ProgramPlan* p : {&small_writes.exchanges[0].client, &small_writes.exchanges[0].server}) {
    p->write_chunk = 100;
    p->write_interval = 5ms;
  }
  small_writes.budget = 5s;
  all.push_back(small_writes);
  return all;
}

SCENARIO_SUITE(Clean, CleanCatalogue);
SCENARIO_SUITE(Loss, LossCatalogue);
SCENARIO_SUITE(HandshakeLoss, HandshakeLossCatalogue);
SCENARIO_SUITE(Window, WindowCatalogue);

}  // namespace
}  // namespace mptcptls::sim
