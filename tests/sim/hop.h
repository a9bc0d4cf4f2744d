// A scenario's router: what it does to the world's first path.
#ifndef MPTCPTLS_TESTS_SIM_HOP_H_
#define MPTCPTLS_TESTS_SIM_HOP_H_

#include <functional>
#include <memory>
#include <utility>

#include "tests/sim/router.h"
#include "tests/sim/world.h"

namespace mptcptls::sim {

// One router in both directions of a path.
struct Hop {
  std::shared_ptr<Router> up = std::make_shared<Router>(), down = std::make_shared<Router>();

  static constexpr Duration kDelay = std::chrono::milliseconds(5);  // of what it answers

  explicit Hop(uint32_t mtu = 65535, Router::Icmp icmp = Router::Icmp::kTells) {
    Set(mtu);
    up->icmp = down->icmp = icmp;
  }
  void Set(uint32_t mtu) const { up->mtu = down->mtu = mtu; }
  Event At(Duration at, uint32_t mtu) const {
    return {at, [hop = *this, mtu](World&) { hop.Set(mtu); }};
  }
  // A Scenario::prepare that begins with what the routers are now, each time that it runs.
  std::function<void(World&)> Preparation() const {
    return [hop = *this, first_up = *up, first_down = *down](World& w) {
      *hop.up = first_up;
      *hop.down = first_down;
      hop.Install(w);
    };
  }
  void Install(World& w) const {
    const auto answer = [&w](SimHost* host) {
      return [&w, host](Packet packet) {
        auto shared = std::make_shared<Packet>(std::move(packet));
        w.simulator().queue().After(kDelay, [host, shared] { host->Receive(*shared); });
      };
    };
    up->reply = answer(&w.client());
    down->reply = answer(&w.server());
    w.up(0).AddMiddlebox(Router::Box(up));
    w.down(0).AddMiddlebox(Router::Box(down));
  }
  uint64_t dropped() const { return up->dropped + down->dropped; }
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_HOP_H_
