// The simulated world: nodes with uplinks, networks that forward between uplinks, and one clock.
//
//   node ── uplink: Link up ──> Network (forwards by destination address) ── Link down ──> node
//
// A network delivers to the uplink that owns the destination address; addresses on two networks do
// not reach each other. Everything random comes from the one seed.
#ifndef MPTCPTLS_TESTS_SIM_SIMULATOR_H_
#define MPTCPTLS_TESTS_SIM_SIMULATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/event_queue.h"
#include "tests/sim/link.h"
#include "tests/sim/packet.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"

namespace mptcptls::sim {

// Something with addresses: a host under test, or a raw peer.
class Node {
 public:
  virtual ~Node() = default;
  virtual void Receive(Packet packet) = 0;
  virtual Time NextTimer() const { return kNever; }
  virtual void Advance(Time /*now*/) {}
};

class Network {
 public:
  Network(EventQueue* queue, Trace* trace) : queue_(queue), trace_(trace) {}
  void Join(const IpAddress& address, Link* link) { routes_[address] = link; }
  bool Reaches(const IpAddress& address) const { return routes_.contains(address); }
  void Forward(Packet packet);

 private:
  EventQueue* queue_;
  Trace* trace_;
  std::map<IpAddress, Link*> routes_;
};

// An interface of a node, with its wire to the network.
class Uplink {
 public:
  Uplink(std::string name, std::vector<IpAddress> addresses, Network* network)
      : name_(std::move(name)), addresses_(std::move(addresses)), network_(network) {}

  const std::string& name() const { return name_; }
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  Network* network() const { return network_; }
  Link& up() { return *up_; }      // node to network
  Link& down() { return *down_; }  // network to node
  // Both directions swallow everything; nobody is told.
  void set_black_hole(bool on) {
    up_->set_black_hole(on);
    down_->set_black_hole(on);
  }

 private:
  friend class Simulator;
  std::string name_;
  std::vector<IpAddress> addresses_;
  Network* network_;
  std::unique_ptr<Link> up_, down_;
};

class Simulator {
 public:
  explicit Simulator(uint64_t seed);
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  Network* AddNetwork();
  // The node outlives the simulator's last Run; its timers are driven from now on.
  void AddNode(Node* node) { nodes_.push_back(node); }
  Uplink* AddUplink(Node* node, Network* network, const std::string& name,
                    std::vector<IpAddress> addresses, const LinkConfig& up, const LinkConfig& down);

  // A link that all of these uplinks' packets pass, on their way from the network to the node and
  // before the uplink's own: where flows meet. One for each direction makes it shared both ways.
  Link* AddBottleneck(const std::string& name, const LinkConfig& config,
                      const std::vector<Uplink*>& behind);

  // Runs events and timers in order of time until `condition` holds (true) or nothing is left to do
  // before `deadline` (false, clock at the deadline).
  bool RunUntil(const std::function<bool()>& condition, Time deadline);
  void RunFor(Duration duration);

  // Called after every event and every timer: what must always hold is looked at here.
  void set_after_step(std::function<void()> check) { after_step_ = std::move(check); }

  Time now() const { return queue_.now(); }
  EventQueue& queue() { return queue_; }
  Trace& trace() { return trace_; }
  Rng& rng() { return rng_; }
  uint64_t events() const { return events_; }
  const std::vector<std::unique_ptr<Uplink>>& uplinks() const { return uplinks_; }
  const std::vector<std::unique_ptr<Link>>& bottlenecks() const { return bottlenecks_; }
  // Set when a node's timer does not move forward: a live lock in the code under test.
  const std::string& stuck() const { return stuck_; }

 private:
  bool Step(Time deadline);

  Rng rng_;
  EventQueue queue_;
  Trace trace_;
  std::vector<std::unique_ptr<Network>> networks_;
  std::vector<std::unique_ptr<Uplink>> uplinks_;
  std::vector<std::unique_ptr<Link>> bottlenecks_;
  std::vector<Node*> nodes_;
  std::function<void()> after_step_;
  uint64_t events_ = 0;
  Time last_time_{};
  uint64_t events_at_last_time_ = 0;
  std::string stuck_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SIMULATOR_H_
