#include "tests/sim/simulator.h"

#include <algorithm>

namespace mptcptls::sim {
namespace {

// More steps than this without the clock moving is a live lock, not work.
constexpr uint64_t kMaxStepsPerInstant = 1'000'000;
// Dice of the bottlenecks, apart from those of the uplinks.
constexpr uint64_t kBottleneckDice = 1'000'000;

}  // namespace

void Network::Forward(Packet packet) {
  const auto view = TcpView::Of(packet.bytes);
  const auto route = view ? routes_.find(view->destination()) : routes_.end();
  if (route == routes_.end()) {
    trace_->Record(queue_->now(), "network", TraceEvent::kNoRoute, packet.bytes);
    return;
  }
  route->second->Send(std::move(packet));
}

Simulator::Simulator(uint64_t seed) : rng_(seed) {}

Network* Simulator::AddNetwork() {
  networks_.push_back(std::make_unique<Network>(&queue_, &trace_));
  return networks_.back().get();
}

Uplink* Simulator::AddUplink(Node* node, Network* network, const std::string& name,
                             std::vector<IpAddress> addresses, const LinkConfig& up,
                             const LinkConfig& down) {
  auto uplink = std::make_unique<Uplink>(name, std::move(addresses), network);
  const uint64_t stream = uplinks_.size() * 2;
  uplink->up_ = std::make_unique<Link>(name + ">", up, &queue_, rng_.Fork(stream), &trace_,
                                       [network](Packet p) { network->Forward(std::move(p)); });
  uplink->down_ = std::make_unique<Link>(name + "<", down, &queue_, rng_.Fork(stream + 1), &trace_,
                                         [node](Packet p) { node->Receive(std::move(p)); });
  for (const IpAddress& address : uplink->addresses_) network->Join(address, uplink->down_.get());
  uplinks_.push_back(std::move(uplink));
  return uplinks_.back().get();
}

Link* Simulator::AddBottleneck(const std::string& name, const LinkConfig& config,
                               const std::vector<Uplink*>& behind) {
  Network* const beyond = AddNetwork();
  bottlenecks_.push_back(std::make_unique<Link>(
      name, config, &queue_, rng_.Fork(kBottleneckDice + bottlenecks_.size()), &trace_,
      [beyond](Packet p) { beyond->Forward(std::move(p)); }));
  Link* const link = bottlenecks_.back().get();
  for (Uplink* uplink : behind) {
    for (const IpAddress& address : uplink->addresses_) {
      beyond->Join(address, uplink->down_.get());
      uplink->network_->Join(address, link);
    }
  }
  return link;
}

bool Simulator::Step(Time deadline) {
  Node* first = nullptr;
  Time next = kNever;
  for (Node* node : nodes_) {
    const Time timer = node->NextTimer();
    if (timer < next) {
      next = timer;
      first = node;
    }
  }
  // At the same instant what the wire brings goes before what a timer wants.
  const Time soonest = std::min(next, queue_.Next());
  if (soonest == kNever || soonest > deadline) return false;
  ++events_;
  if (first == nullptr || queue_.Next() <= next) {
    queue_.RunNext();
  } else {
    queue_.AdvanceTo(std::max(next, queue_.now()));
    first->Advance(queue_.now());
  }
  if (after_step_) after_step_();
  events_at_last_time_ = queue_.now() == last_time_ ? events_at_last_time_ + 1 : 0;
  last_time_ = queue_.now();
  if (events_at_last_time_ > kMaxStepsPerInstant) stuck_ = "the clock stands still: a live lock";
  return stuck_.empty();
}

bool Simulator::RunUntil(const std::function<bool()>& condition, Time deadline) {
  while (!condition()) {
    if (Step(deadline)) continue;
    if (deadline != kNever && stuck_.empty()) queue_.AdvanceTo(deadline);
    return false;
  }
  return true;
}

void Simulator::RunFor(Duration duration) {
  RunUntil([] { return false; }, now() + duration);
}

}  // namespace mptcptls::sim
