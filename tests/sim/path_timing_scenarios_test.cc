// How soon a second path is used, and how soon a dead one is done without: what users notice.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

Scenario Base(const std::string& name, bool upload, const std::vector<Duration>& delays) {
  Scenario s;
  s.name = name + (upload ? "_upload" : "_download");
  s.paths.clear();
  for (const Duration delay : delays) {
    s.paths.push_back(
        {.up = {.delay = delay, .rate = 50'000'000, .queue_bytes = 600'000}, .down = {}});
  }
  ProgramPlan& sender = upload ? s.exchanges[0].client : s.exchanges[0].server;
  ProgramPlan& receiver = upload ? s.exchanges[0].server : s.exchanges[0].client;
  sender.send_bytes = 24 * kMiB;
  receiver.send_bytes = 200;
  receiver.ending = Ending::kShutdownAfterPeer;
  s.expect.mode = Mode::kTlsAuth;
  s.budget = 60s;
  return s;
}

// ---- From the end of the client's TLS handshake to the first data on the second path

std::vector<Scenario> JoinTimeCatalogue() {
  std::vector<Scenario> all;
  for (const bool upload : {false, true}) {
    for (const Duration delay : {10ms, 50ms}) {
      Scenario s = Base("data_on_the_second_path_" + std::to_string(delay / 1ms) + "ms", upload,
                        {10ms, delay});
      auto first = std::make_shared<Time>(Time{});
      s.mesh = true;  // no address has to be told first
      s.prepare = [first, upload](World& w) {
        *first = Time{};
        (upload ? w.up(1) : w.down(1)).AddMiddlebox([&w, first](Packet packet, auto* out) {
          const auto view = TcpView::Of(packet.bytes);
          if (*first == Time{} && view && !view->payload().empty()) *first = w.simulator().now();
          out->push_back(std::move(packet));
        });
      };
      s.check = [first, delay](World& w, std::vector<std::string>* failures) {
        const Duration took = *first + delay - w.pair(0).client->keys_at();
        const Duration most = 2 * delay * 5 / 2;
        Wants(failures, *first != Time{} && took <= most + 1ms,
              "it arrived after " + std::to_string(took / 1us) + " us, more than 2.5 round trips");
      };
      all.push_back(s);
    }
  }
  return all;
}

// ---- A path that dies without a word: how long the stream stands still

// Watches what the receiver has, each millisecond of [from, to).
std::vector<Event> Watch(const std::shared_ptr<Duration>& longest, bool upload, Duration from,
                         Duration to) {
  struct Seen {
    uint64_t bytes = 0;
    Duration since{0};
  };
  auto seen = std::make_shared<Seen>();
  std::vector<Event> events;
  for (Duration at = from; at < to; at += 1ms) {
    events.push_back({at, [=](World& w) {
                        const auto& pair = w.pair(0);
                        const uint64_t now = (upload ? pair.server : pair.client)->received();
                        if (at == from) *longest = 0ms;
                        if (at == from || now != seen->bytes) *seen = {now, at};
                        *longest = std::max(*longest, at - seen->since);
                      }});
  }
  return events;
}

// `dies` drops everything from `at` on. The stream stands still for 1.5 times that path's RTO at
// most, and for as long as bytes are under way on the other one: `transit`, with its queue.
Scenario WhenItDies(const std::string& name, bool upload, const std::vector<Duration>& delays,
                    size_t dies, Duration at, Duration transit) {
  Scenario s = Base(name, upload, delays);
  auto longest = std::make_shared<Duration>(0);
  auto rto = std::make_shared<Duration>(0);
  s.events = Watch(longest, upload, at, at + 2s);
  s.events.push_back({at - 1ms, [dies, upload, rto](World& w) {
                        const SimProgram& sender = upload ? *w.pair(0).client : *w.pair(0).server;
                        const ConnectionInfo info = sender.connection()->Info(w.simulator().now());
                        for (const SubflowStatus& subflow : info.subflows) {
                          if (subflow.joined == (dies == 1)) *rto = subflow.tcp.rto;
                        }
                      }});
  s.events.push_back({at, [dies](World& w) { w.client().uplink(dies).set_black_hole(true); }});
  s.check = [longest, rto, transit](World&, std::vector<std::string>* failures) {
    Wants(failures, *rto > 0ms && *longest <= *rto * 3 / 2 + transit,
          "the stream stood still for " + std::to_string(*longest / 1ms) + " ms, the RTO was " +
              std::to_string(*rto / 1ms) + " ms");
  };
  s.expect.client_end = s.expect.server_end = std::nullopt;
  s.budget = 200s;  // until the dead path is given up
  return s;
}

std::vector<Scenario> ResumeCatalogue() {
  std::vector<Scenario> all;
  for (const bool upload : {false, true}) {
    for (const size_t dies : {0u, 1u}) {
      const std::string name = "path_" + std::to_string(dies) + "_dies";
      all.push_back(WhenItDies(name, upload, {10ms, 20ms}, dies, 800ms, 0ms));
      // What is left is slow, or was.
      Scenario unlike = WhenItDies(name + "_of_unlike_ones", upload, {15ms, 150ms}, dies, 6s,
                                   dies == 0 ? 450ms : 0ms);
      for (PathPlan& path : unlike.paths) {
        path.up.rate = 20'000'000;
        path.up.queue_bytes = static_cast<size_t>(path.up.delay * 2 / 1ms) * 2500;
      }
      all.push_back(unlike);
    }
  }
  return all;
}

SCENARIO_SUITE(JoinTime, JoinTimeCatalogue);
SCENARIO_SUITE(Resume, ResumeCatalogue);

}  // namespace
}  // namespace mptcptls::sim
