// Two hosts that really talk to each other over two paths, on a wire that the fuzzer holds in its
// hands: each input byte decides about a packet. With bit 0 of the first byte the wire may also
// change bytes (checksums made right again): then only crashes, live locks and counted bugs are
// failures. Without, it may only lose, repeat and hold back: then the programs' bytes must be
// right.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/world.h"

namespace mptcptls::fuzz {
namespace {

using namespace std::chrono_literals;
using sim::Packet;
using sim::TcpView;

void Change(Packet* packet, Input* in) {
  const auto view = TcpView::Of(packet->bytes);
  if (!view) return;
  // Not the addresses and ports: the packet must find somebody.
  const size_t begin = view->tcp_offset() + 4;
  const size_t at = begin + in->U8() % (packet->bytes.size() - begin);
  packet->bytes[at] = in->U8();
  if (TcpView::Of(packet->bytes)) sim::Seal(packet);
}

sim::Middlebox Wire(const std::shared_ptr<Input>& in, bool hostile,
                    const std::shared_ptr<std::vector<Packet>>& held) {
  auto lost_in_a_row = std::make_shared<int>(0);
  return [=](Packet packet, std::vector<Packet>* out) {
    if (packet.bytes.empty()) return out->push_back(std::move(packet));  // the link's clock
    const uint8_t what = in->U8();
    // A wire that loses everything for minutes ends connections, and rightly so.
    const bool lose = what >= 200 && what < 215 && *lost_in_a_row < 1;
    *lost_in_a_row = lose ? *lost_in_a_row + 1 : 0;
    if (lose) return;
    if (what < 215) {
      out->push_back(std::move(packet));
    } else if (what < 225) {
      out->push_back(packet);
      out->push_back(std::move(packet));
    } else if (what < 240 && held->size() < 3) {
      held->push_back(std::move(packet));
      return;
    } else {
      if (hostile) Change(&packet, in.get());
      out->push_back(std::move(packet));
    }
    for (Packet& p : *held) out->push_back(std::move(p));
    held->clear();
  };
}

}  // namespace
}  // namespace mptcptls::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls;
  using namespace std::chrono_literals;
  auto in = std::make_shared<fuzz::Input>(data, size);
  const uint8_t how = in->U8();
  const bool hostile = (how & 1) != 0;
  sim::Scenario s;
  s.paths.assign(2, {.up = {.delay = 5ms, .rate = 100'000'000}, .down = {}});
  s.family = (how & 2) != 0 ? Family::kV6 : Family::kV4;
  s.client_config.checksum = (how & 4) != 0;
  s.connect = sim::ConnectAs(static_cast<AuthPolicy>(how >> 3 & 3), true);
  s.exchanges[0].client.send_bytes = in->U16();
  s.exchanges[0].server.send_bytes = 4 * in->U16();
  s.budget = 1500s;
  // This wire may hold a packet for longer than the 2 MSL that a TCP relies on (RFC 9293 3.4.1).
  s.client_config.time_wait = s.server_config.time_wait = 1000s;
  s.prepare = [in, hostile](sim::World& w) {
    for (size_t path : {0u, 1u}) {
      for (sim::Link* link : {&w.up(path), &w.down(path)}) {
        link->AddMiddlebox(fuzz::Wire(in, hostile, std::make_shared<std::vector<sim::Packet>>()));
      }
    }
  };
  sim::World world(s, 1);
  if (std::getenv("SIM_TRACE") != nullptr) {  // of one input, by hand
    world.simulator().trace().set_sink(
        [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
  }
  const auto failures = world.Run();
  FUZZ_CHECK(world.simulator().stuck().empty());
  FUZZ_CHECK(world.Sum(&Counters::bugs) == 0);
  if (!hostile) {
    for (const std::string& failure : failures) std::fprintf(stderr, "%s\n", failure.c_str());
    FUZZ_CHECK(failures.empty());
  }
  return 0;
}
