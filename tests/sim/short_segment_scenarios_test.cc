// A program that writes little at a time: what Nagle's algorithm, TCP_NODELAY, TCP_CORK and
// MSG_MORE make of it on the wire.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

// The client's data segments, by the time they were put on the wire.
using Sent = std::vector<std::pair<Time, size_t>>;

Scenario Writer(const std::string& name, size_t chunk, Duration interval, int chunks,
                const std::shared_ptr<Sent>& sent) {
  Scenario s;
  s.name = name;
  s.paths = {{.up = {.delay = 50ms}, .down = {}}};  // round trip 100 ms
  s.connect = ConnectAs(AuthPolicy::kTcp, false);
  s.exchanges[0].client.tls = s.exchanges[0].server.tls = false;
  s.exchanges[0].client.send_bytes = chunk * static_cast<size_t>(chunks);
  s.exchanges[0].client.write_chunk = chunk;
  s.exchanges[0].client.write_interval = interval;
  s.prepare = [sent](World& w) {
    sent->clear();
    w.up(0).AddLossPattern([sent, &w](const TcpView& p, uint64_t) {
      if (IsData(p)) sent->emplace_back(w.simulator().now(), p.payload().size());
      return false;
    });
  };
  s.budget = 10s;
  return s;
}

void AddInBothModes(const Scenario& scenario, std::vector<Scenario>* all) {
  all->push_back(scenario);
  all->push_back(scenario);
  all->back().name += "_keys";
  all->back().connect.auth = AuthPolicy::kKeys;
}

std::vector<Scenario> NagleCatalogue() {
  std::vector<Scenario> all;
  auto sent = std::make_shared<Sent>();
  // Two round trips of writes: one leaves at once, the others together when it is acknowledged.
  Scenario nagle = Writer("short_writes_are_joined", 10, 1ms, 200, sent);
  nagle.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() >= 3 && sent->size() <= 4,
          std::to_string(sent->size()) + " segments");
    Wants(failures, sent->front().second == 10, "the first did not leave at once");
    Wants(failures, sent->at(1).first - sent->front().first == 100ms, "the second did not wait");
    Wants(failures, sent->at(1).second >= 900, "the second is not all that was written");
  };
  AddInBothModes(nagle, &all);
  Scenario no_delay = Writer("no_delay_sends_each_write", 100, 1ms, 50, sent);
  no_delay.connect.stream.no_delay = true;
  no_delay.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() == 50, std::to_string(sent->size()) + " segments");
  };
  AddInBothModes(no_delay, &all);
  // Minshall: what follows full segments does not wait for those.
  Scenario large = Writer("short_end_of_a_large_write_leaves_at_once", 10'000, 1s, 2, sent);
  large.check = [sent](World&, std::vector<std::string>* failures) {
    size_t at_once = 0;
    for (const auto& [when, size] : *sent) at_once += when == sent->front().first ? size : 0;
    Wants(failures, at_once == 10'000, std::to_string(at_once) + " bytes left at once");
  };
  AddInBothModes(large, &all);
  // The end of the stream waits for nothing.
  Scenario end = Writer("end_of_the_stream_leaves_at_once", 100, 1ms, 2, sent);
  end.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() == 2 && sent->at(1).first - sent->front().first <= 2ms,
          "it waited");
  };
  AddInBothModes(end, &all);
  return all;
}

StreamOptions Corked() {
  StreamOptions options;
  options.cork = true;
  return options;
}

std::vector<Scenario> CorkCatalogue() {
  std::vector<Scenario> all;
  auto sent = std::make_shared<Sent>();
  // 100 bytes each 10 ms: full segments, and every 200 ms what there is.
  Scenario cork = Writer("cork_waits_for_full_segments", 100, 10ms, 100, sent);
  cork.connect.stream = Corked();
  cork.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() <= 8, std::to_string(sent->size()) + " segments");
    Wants(failures, sent->front().second >= 1300, "a short one first");
  };
  AddInBothModes(cork, &all);
  // One write, and nothing more for long.
  Scenario alone = Writer("cork_waits_for_200_ms_at_most", 100, 1s, 2, sent);
  alone.connect.stream = Corked();
  alone.check = [sent](World& w, std::vector<std::string>* failures) {
    const Duration waited = sent->front().first - w.pair(0).client->connected_at();
    Wants(failures, waited == 200ms, "waited " + std::to_string(waited / 1ms) + " ms");
  };
  AddInBothModes(alone, &all);
  // What the program asks for is done at once, 150 ms after the SYN.
  const auto change = [&](const std::string& name, StreamOptions to) {
    Scenario s = alone;
    s.name = name;
    s.events = {{150ms, [to](World& w) {
                   w.pair(0).client->connection()->SetOptions(w.simulator().now(), to);
                 }}};
    s.check = [sent](World&, std::vector<std::string>* failures) {
      Wants(failures, sent->front().first == Time(150ms), "not at once");
    };
    AddInBothModes(s, &all);
  };
  change("taking_cork_away_sends_what_it_held", {});
  StreamOptions no_delay = Corked();
  no_delay.no_delay = true;
  change("no_delay_sends_what_cork_held", no_delay);
  return all;
}

std::vector<Scenario> MoreCatalogue() {
  std::vector<Scenario> all;
  auto sent = std::make_shared<Sent>();
  // Of four writes three say that more follows: each four are one segment. All within a round trip,
  // as an acknowledgement lets go of what is held.
  Scenario more = Writer("each_write_that_ends_a_message_sends_it", 100, 1ms, 40, sent);
  more.connect.stream.no_delay = true;
  more.exchanges[0].client.write_more = 4;
  more.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() == 10, std::to_string(sent->size()) + " segments");
    for (const auto& [when, size] : *sent)
      Wants(failures, size == 400, "one of " + std::to_string(size) + " bytes");
  };
  AddInBothModes(more, &all);
  // 99 writes in 990 ms say that more follows: each round trip's acknowledgement sends what there
  // is.
  Scenario held = Writer("an_acknowledgement_lets_go", 10, 10ms, 100, sent);
  held.connect.stream.no_delay = true;
  held.exchanges[0].client.write_more = 100;
  held.check = [sent](World&, std::vector<std::string>* failures) {
    Wants(failures, sent->size() >= 8 && sent->size() <= 11,
          std::to_string(sent->size()) + " segments");
  };
  AddInBothModes(held, &all);
  // A program that forgets the rest.
  Scenario alone = Writer("it_leaves_after_200_ms_all_the_same", 100, 1s, 2, sent);
  alone.exchanges[0].client.write_more = 2;
  alone.check = [sent](World& w, std::vector<std::string>* failures) {
    const Duration waited = sent->front().first - w.pair(0).client->connected_at();
    Wants(failures, waited == 200ms, "waited " + std::to_string(waited / 1ms) + " ms");
  };
  AddInBothModes(alone, &all);
  return all;
}

SCENARIO_SUITE(Nagle, NagleCatalogue);
SCENARIO_SUITE(Cork, CorkCatalogue);
SCENARIO_SUITE(More, MoreCatalogue);

}  // namespace
}  // namespace mptcptls::sim
