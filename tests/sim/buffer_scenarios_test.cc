// Buffers that follow the path and the program: large where they are needed, small where not.
#include <algorithm>
#include <map>

#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

Scenario Base(const std::string& name, const LinkConfig& link, uint64_t down) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = link, .down = {}}};
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges[0].server.send_bytes = down;
  return s;
}

// Every window that a host tells, from what it sends on one link: its right edge at the level that
// it counts at.
class EdgeWatch {
 public:
  void See(const TcpView& p) {
    if (p.has(kRst)) return;
    Flow& flow = flows_[p.source_port()];
    if (p.has(kSyn)) {
      const auto scale = p.FindOption(3);
      flow.scale = scale.empty() ? 0 : scale[2];
    }
    const auto dss = p.FindMptcp(kDss);
    const bool data_ack = !dss.empty() && (dss[3] & 1) != 0;
    if (data_ack != flow.at_data_level) flow = {.scale = flow.scale, .at_data_level = data_ack};
    uint64_t ack = p.ack();
    if (data_ack) {  // four bytes of it, or all eight
      ack = 0;
      const size_t size = (dss[3] & 2) != 0 ? 8 : 4;
      for (size_t i = size - 4; i < size; ++i) ack = ack << 8 | dss[4 + i];
    }
    if (!p.has(kAck)) return;
    const uint64_t window = uint64_t{p.window()} << (p.has(kSyn) ? 0 : flow.scale);
    const auto edge = static_cast<uint32_t>(ack + window);
    first_ = first_ == 0 ? window : first_;
    largest_ = std::max(largest_, window);
    const auto back = static_cast<int32_t>(flow.edge - edge);
    if (!flow.seen || back < 0) {
      flow.edge = edge;
      flow.seen = true;
    } else if (back >= 1 << flow.scale) {  // RFC 7323 2.4: less is what the scale cannot say
      ++shrunk_;
      worst_ = std::max(worst_, back);
    }
    ++windows_;
  }
  // On `link`, what its sender tells.
  static std::shared_ptr<EdgeWatch> On(Link* link) {
    auto watch = std::make_shared<EdgeWatch>();
    link->AddLossPattern([watch](const TcpView& p, uint64_t) {
      watch->See(p);
      return false;
    });
    return watch;
  }

  uint64_t windows() const { return windows_; }
  uint64_t shrunk() const { return shrunk_; }
  int32_t worst() const { return worst_; }
  uint64_t first() const { return first_; }
  uint64_t largest() const { return largest_; }

 private:
  struct Flow {
    int scale = 0;
    bool at_data_level = false, seen = false;
    uint32_t edge = 0;
  };
  std::map<uint16_t, Flow> flows_;
  uint64_t windows_ = 0, shrunk_ = 0, first_ = 0, largest_ = 0;
  int32_t worst_ = 0;
};

std::vector<Scenario> AutotuningCatalogue() {
  std::vector<Scenario> all;
  // 100 Mbit/s x 200 ms are 2.5 MB on their way. Of the first four seconds slow start takes about
  // two; in the two after them the link is full, 25 MB.
  Scenario fat = Base("long_fat_path",
                      {.delay = 100ms, .rate = 100'000'000, .queue_bytes = 2'500'000}, 80 * kMiB);
  auto watch = std::make_shared<std::shared_ptr<EdgeWatch>>();
  auto at = std::make_shared<std::array<uint64_t, 2>>();
  fat.prepare = [watch](World& w) { *watch = EdgeWatch::On(&w.up(0)); };
  const auto note = [at](size_t i) {
    return [at, i](World& w) { (*at)[i] = w.pair(0).client->received(); };
  };
  fat.events = {{4s, note(0)}, {6s, note(1)}};
  fat.budget = 12s;
  fat.check = [watch, at](World& w, std::vector<std::string>* failures) {
    const uint64_t in_two_seconds = (*at)[1] - (*at)[0];
    Wants(failures, in_two_seconds > 21'000'000,
          std::to_string(in_two_seconds) + " bytes in two seconds");
    Wants(failures, (*watch)->first() <= 65536, "the window does not begin small");
    Wants(failures, (*watch)->largest() > 2'500'000, "the window did not grow");
    Wants(failures, w.client().host().counters().receive_buffer_grown > 0, "nothing was tuned");
  };
  all.push_back(fat);

  // The window stays what it was: nobody reads faster.
  Scenario slow = Base("slow_reader_keeps_its_window",
                       {.delay = 10ms, .rate = 100'000'000, .queue_bytes = 500'000}, 2 * kMiB);
  slow.exchanges[0].client.read_chunk = 10'000;
  slow.exchanges[0].client.read_interval = 50ms;
  auto slow_watch = std::make_shared<std::shared_ptr<EdgeWatch>>();
  auto held = std::make_shared<size_t>(0);
  slow.prepare = [slow_watch, held](World& w) {
    *slow_watch = EdgeWatch::On(&w.up(0));
    *held = 0;
  };
  for (int i = 1; i < 50; ++i) {
    slow.events.push_back({i * 200ms, [held](World& w) {
                             *held = std::max(*held, w.client().host().blocks_in_use());
                           }});
  }
  slow.budget = 20s;
  slow.check = [slow_watch, held](World& w, std::vector<std::string>* failures) {
    Wants(failures, (*slow_watch)->largest() <= 65536,
          "the window grew to " + std::to_string((*slow_watch)->largest()));
    Wants(failures, w.client().host().counters().receive_buffer_grown == 0, "it was tuned");
    Wants(failures, *held > 0 && *held <= 3, std::to_string(*held) + " blocks held");
  };
  all.push_back(slow);

  // Their programs have half a megabyte each to send at once; the host holds a fraction of it.
  Scenario many = Base("a_hundred_slow_connections_hold_little",
                       {.delay = 20ms, .rate = 50'000'000, .queue_bytes = 250'000}, kMiB / 2);
  many.exchanges.assign(100, many.exchanges[0]);
  auto most = std::make_shared<size_t>(0);
  many.prepare = [most](World&) { *most = 0; };
  for (int i = 1; i < 100; ++i) {
    many.events.push_back({i * 100ms, [most](World& w) {
                             *most = std::max(*most, w.server().host().blocks_in_use());
                           }});
  }
  many.budget = 30s;
  many.check = [most](World&, std::vector<std::string>* failures) {
    Wants(failures, *most > 50 && *most <= 300,
          std::to_string(*most) + " blocks held for a hundred connections");
  };
  all.push_back(many);
  return all;
}

// RFC 9293 3.8.6: the right edge of the window is never taken back, whoever reads how.
std::vector<Scenario> EdgeCatalogue() {
  std::vector<Scenario> all;
  struct Reader {
    const char* name;
    size_t chunk;
    Duration interval;
  };
  for (const Reader& reader :
       {Reader{"eager", 0, 0ms}, {"slow", 7'001, 10ms}, {"tiny", 311, 1ms}}) {
    for (const bool plain : {false, true}) {
      Scenario s = Base(std::string(reader.name) + (plain ? "_plain_tcp" : "_mptcp"),
                        {.delay = 20ms, .rate = 50'000'000, .queue_bytes = 250'000, .loss = 0.002},
                        reader.chunk == 0 ? 8 * kMiB : kMiB / 2);
      s.exchanges[0].client.read_chunk = reader.chunk;
      s.exchanges[0].client.read_interval = reader.interval;
      if (plain) s.connect = ConnectAs(AuthPolicy::kTcp, true);
      s.expect.mode = plain ? Mode::kTcp : Mode::kTlsAuth;
      auto watch = std::make_shared<std::shared_ptr<EdgeWatch>>();
      s.prepare = [watch](World& w) { *watch = EdgeWatch::On(&w.up(0)); };
      s.budget = 40s;
      s.check = [watch](World&, std::vector<std::string>* failures) {
        Wants(failures, (*watch)->windows() > 100, "hardly a window was told");
        Wants(failures, (*watch)->shrunk() == 0,
              "the right edge moved back " + std::to_string((*watch)->shrunk()) + " times, by " +
                  std::to_string((*watch)->worst()) + " bytes at most");
      };
      all.push_back(s);
    }
  }
  return all;
}

SCENARIO_SUITE(Autotuning, AutotuningCatalogue);
SCENARIO_SUITE(WindowEdge, EdgeCatalogue);

}  // namespace
}  // namespace mptcptls::sim
