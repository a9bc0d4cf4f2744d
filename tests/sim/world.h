// Scenarios as data, and the world that runs one: a client and a server host, one or several paths
// between them, programs on both, and what must be true at the end.
#ifndef MPTCPTLS_TESTS_SIM_WORLD_H_
#define MPTCPTLS_TESTS_SIM_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/sim/program.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/simulator.h"

namespace mptcptls::sim {

class World;

// One client uplink and one server uplink. The link's properties sit at the client's uplink; the
// server's is perfect.
struct PathPlan {
  LinkConfig up;                   // client to server
  std::optional<LinkConfig> down;  // server to client; like `up` when absent
  bool second_family = false;      // its addresses are of the other family alone
};

// One connection: what its two programs do, and when it begins.
struct Exchange {
  ProgramPlan client, server;
  Duration start{0};
  bool plain = false;  // TCP, whatever Scenario::connect says
};

struct Event {
  Duration at{0};
  std::function<void(World&)> run;
};

struct Expectation {
  std::optional<Mode> mode;  // of every connection, on both sides
  std::optional<EndReason> client_end = EndReason::kClean;
  std::optional<EndReason> server_end = EndReason::kClean;
  std::optional<size_t> subflows;  // joined ones and the first, ever, of each connection
  bool no_timeout = false;         // SACK repairs everything: rto_fired stays 0
  bool thrifty = false;            // retransmitted under twice the lost bytes
  double least_share = 0;          // of the payload, on each path
  bool delivered = true;           // every byte of both directions arrives
};

inline ConnectOptions ConnectAs(AuthPolicy auth, bool tls_hooked) {
  ConnectOptions options;
  options.auth = auth;
  options.tls_hooked = tls_hooked;
  return options;
}
inline ListenOptions ListenAs(AuthPolicy auth, bool tls_hooked) {
  ListenOptions options;
  options.auth = auth;
  options.tls_hooked = tls_hooked;
  return options;
}

struct Scenario {
  std::string name;
  std::vector<PathPlan> paths = {{}};
  std::optional<LinkConfig> bottleneck;  // one link that all paths share, in each direction
  bool mesh = false;                     // every client address reaches every server address
  Family family = Family::kV4;
  bool dual_stack = false;  // every interface has an address of the other family too
  HostConfig client_config, server_config;
  ConnectOptions connect = ConnectAs(AuthPolicy::kAuto, true);
  ListenOptions listen = ListenAs(AuthPolicy::kAuto, true);
  bool wildcard = true;  // the listener; else on the first address only
  std::vector<Exchange> exchanges = {{}};
  std::function<void(World&)> prepare;  // middleboxes, loss patterns, raw peers
  std::vector<Event> events;
  Duration budget = std::chrono::seconds(60);  // virtual time for everything to be closed
  Expectation expect;
  std::function<void(World&, std::vector<std::string>*)> check;  // more, at the end
};

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

class World : public ListenerObserver {
 public:
  struct Pair {
    std::unique_ptr<SimProgram> client, server;
    uint16_t client_port = 0;
    bool accepted = false, refused = false;  // refused: Connect() gave no connection
    EndReason refusal = EndReason::kNone;
  };

  World(const Scenario& scenario, uint64_t seed);

  // Runs everything and returns what was wrong.
  std::vector<std::string> Run();

  const Scenario& scenario() const { return scenario_; }
  Simulator& simulator() { return simulator_; }
  SimHost& client() { return *client_; }
  SimHost& server() { return *server_; }
  Link& up(size_t path) { return client_->uplink(path).up(); }      // client to server
  Link& down(size_t path) { return client_->uplink(path).down(); }  // server to client
  // The port translator of a path, once a scenario has put it there.
  PortNat& nat(size_t path) { return nats_[path]; }
  Network* network(size_t path) { return networks_[path]; }
  IpAddress ClientAddress(size_t path) const;
  IpAddress ServerAddress(size_t path) const;
  // All addresses of an interface; the first is of the scenario's family.
  std::vector<IpAddress> Addresses(uint8_t network, size_t path, uint8_t host) const;
  Endpoint Target() const { return {ServerAddress(0), kPort}; }
  Pair& pair(size_t index) { return pairs_[index]; }
  size_t pair_count() const { return pairs_.size(); }
  ListenerId listener() const { return listener_; }
  // A part of the world that a scenario added; lives as long as the world.
  void Keep(std::shared_ptr<void> part) { parts_.push_back(std::move(part)); }
  void set_can_accept(bool v) { can_accept_ = v; }
  uint64_t PayloadOn(size_t path);            // both directions, as put on the wire
  uint64_t LostPayload();                     // on all paths
  uint64_t Sum(uint64_t Counters::*counter);  // of both hosts
  // Time at which the last program saw the end of its peer.
  Time completed() const;

  // ListenerObserver
  bool CanAccept() override { return can_accept_; }
  ConnectionObserver* OnAccepted(Connection& connection, Time now) override;

  static constexpr uint16_t kPort = 443;

 private:
  void Connect(size_t index);
  bool AllClosed() const;
  void CheckPrograms(std::vector<std::string>* failures);
  void CheckPair(size_t index, std::vector<std::string>* failures);
  void CheckExpectation(std::vector<std::string>* failures);
  void CheckNothingLeft(std::vector<std::string>* failures);

  Scenario scenario_;
  Simulator simulator_;
  std::vector<Network*> networks_;
  std::unique_ptr<SimHost> client_, server_;
  std::vector<Pair> pairs_;
  std::vector<std::shared_ptr<void>> parts_;
  std::map<size_t, PortNat> nats_;
  ListenerId listener_ = 0;
  bool can_accept_ = true;
  uint64_t strangers_ = 0;  // accepted connections that no client of ours made
};

// One line for a human: bytes, times, subflows, losses.
std::string Summary(World& world);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_WORLD_H_
