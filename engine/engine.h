// The engine of one network namespace: the stack on a TUN device, the host's uplinks and its
// steering table around it, the captured programs before it. One thread, one loop.
#ifndef MPTCPTLS_ENGINE_ENGINE_H_
#define MPTCPTLS_ENGINE_ENGINE_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/captured_listener.h"
#include "engine/config.h"
#include "engine/control_server.h"
#include "engine/dumps.h"
#include "engine/event_loop.h"
#include "engine/kernel_stream.h"
#include "engine/loopback.h"
#include "engine/relays.h"
#include "engine/tun_environment.h"
#include "stack/host.h"
#include "tun/kernel_connections.h"
#include "tun/neighbours.h"
#include "tun/port_blocks.h"
#include "tun/steering.h"
#include "tun/tun_device.h"
#include "tun/uplinks.h"

namespace mptcptls {

// A listener that was left to the kernel, and why.
struct DeclinedListener {
  Endpoint endpoint;
  Program program;
  std::string reason;
};

class Engine final : public LoopClient {
 public:
  // Sets the host up. On failure null, an error with cause and remedy, and nothing is left behind.
  // `loop` outlives it.
  static std::unique_ptr<Engine> Start(Config config, EventLoop* loop, std::string* error);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Answers on `name` (TakeEngineName()) until idle for long enough, or told to end.
  void Serve(Descriptor name);
  void Stop();  // connections are reset

  // ---- For the control verbs and status
  const Config& config() const { return config_; }
  EventLoop* loop() const { return loop_; }
  Host* host() const { return host_.get(); }
  Loopback* loopback() const { return loopback_.get(); }
  Relays* relays() { return &relays_; }
  const Relays& relays() const { return relays_; }
  Dumps* dumps() { return &dumps_; }
  const UplinkMonitor& uplinks() const { return *uplinks_; }
  const TunEnvironment& environment() const { return *environment_; }
  Time began() const { return began_; }
  std::vector<std::string> Installed() const;
  const std::string& steering_error() const { return steering_error_; }

  // A port that a program bound and connects from: its packets come to the stack while it is used.
  bool TakeBoundPort(uint16_t port);
  // Leaves the kernel's own connections with this local port to it, as long as they are there, for
  // a listener that was the kernel's. Why that cannot be; empty when it is done.
  std::string SpareConnections(uint16_t port);
  // 0 or an errno.
  int AddListener(const CapturedListener::Options& options, Descriptor kernel);
  // Releases what dead programs left on this port. False when there was nothing.
  bool ReleaseDead(uint16_t port);
  const std::map<uint64_t, std::unique_ptr<CapturedListener>>& listeners() const {
    return listeners_;
  }
  const std::deque<DeclinedListener>& declined() const { return declined_; }
  void Decline(DeclinedListener listener);

  // LoopClient
  Time NextDeadline() override;
  void Advance(Time now) override;
  void OnBatchDone(Time now) override;

 private:
  Engine(Config config, EventLoop* loop);
  bool SetUp(std::string* error);
  bool ApplySteering();
  bool ReadTun();  // a batch of packets; false when there are no more
  void ReadUplinks();
  void ReadNeighbours();
  void TellAddresses();
  void Tick(Time now);
  bool Idle() const;
  void GiveMemoryBack();
  template <typename Predicate>
  bool ReleaseIf(Predicate dead);
  // The accepted connections with these local ports that have more than a TIME-WAIT left, each
  // subflow of them.
  std::set<FourTuple> Accepted(const std::set<uint16_t>& ports) const;
  // True when some of `spared_` are gone.
  bool ForgetSpared();
  // True when some of `draining_` or `outliving_` are done.
  bool ForgetOutlived();
  // True when somebody else listens on a port of `draining_` now, and has it.
  bool HandPortsOver();
  void ReleasePort(uint16_t port);

  Config config_;
  EventLoop* loop_;
  Time began_;
  Time idle_since_;
  bool more_work_ = false;
  bool stopping_ = false;
  std::string steering_error_;

  std::unique_ptr<TunDevice> tun_;
  std::unique_ptr<UplinkMonitor> uplinks_;
  std::unique_ptr<NeighbourMonitor> neighbours_;
  std::unique_ptr<Steering> steering_;
  PortBlocks ports_;
  std::map<uint16_t, int> bound_ports_;  // how many connections use each
  Dumps dumps_;
  std::unique_ptr<TunEnvironment> environment_;
  Relays relays_;
  KernelStreams streams_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Loopback> loopback_;
  std::map<uint64_t, std::unique_ptr<CapturedListener>> listeners_;
  // Connections may go on without their listener. While nobody else listens there its port stays
  // the engine's (the kernel would reset them, and what they join later); then these alone do.
  std::set<SteeredListener> draining_;
  std::set<FourTuple> outliving_;
  std::set<FourTuple> spared_;
  std::deque<DeclinedListener> declined_;
  std::unique_ptr<ControlServer> server_;
  EventCallback on_tun_, on_uplinks_, on_neighbours_;
  Timer tick_;
  size_t most_blocks_ = 0;  // in use at a tick since memory was last given back
  std::vector<uint8_t> packet_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_ENGINE_H_
