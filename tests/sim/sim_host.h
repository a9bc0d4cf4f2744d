// A host under test: the real stack (Host) in a simulated environment. It also checks what the
// stack may never do to its environment, and keeps a list of violations.
#ifndef MPTCPTLS_TESTS_SIM_SIM_HOST_H_
#define MPTCPTLS_TESTS_SIM_SIM_HOST_H_

#include <memory>
#include <string>
#include <vector>

#include "stack/host.h"
#include "tests/sim/simulator.h"
#include "tests/sim/tcp_monitor.h"

namespace mptcptls::sim {

class SimHost : public Node, public Environment {
 public:
  // Ports are taken from `first_port` on, in blocks of 256.
  SimHost(Simulator* simulator, std::string name, const HostConfig& config,
          uint16_t first_port = 40000);

  // An interface; its addresses are the host's from the next SetUplinkUp() or Start() on.
  Uplink* AddUplink(Network* network, std::vector<IpAddress> addresses, const LinkConfig& up,
                    const LinkConfig& down);
  // Makes the Host, with the addresses of all uplinks.
  void Start();
  // The host loses or regains the interface and is told, as by netlink.
  void SetUplinkUp(size_t index, bool up);
  // Its addresses stay, its routes go and come; the host is told.
  void SetRouted(size_t index, bool routed);
  // What the interface is for, as an [[uplink]] of the engine's configuration says.
  void SetUse(size_t index, UplinkUse use, size_t subflows);

  Host& host() { return *host_; }
  Uplink& uplink(size_t index) { return *uplinks_[index].uplink; }
  size_t uplink_count() const { return uplinks_.size(); }
  const std::string& name() const { return name_; }
  // What the stack did wrong to its environment; empty is right.
  const std::vector<std::string>& violations() const { return violations_; }

  TcpMonitor& monitor() { return monitor_; }
  // What must hold of the stack between two steps; the first thing that does not is a violation.
  void CheckInvariants();

  // Node
  void Receive(Packet packet) override;
  Time NextTimer() const override { return host_ ? host_->NextTimer() : kNever; }
  void Advance(Time now) override { host_->Advance(now); }

  // Environment
  void Output(const OutgoingPacket& packet) override;
  void Random(std::span<uint8_t> out) override { rng_.Fill(out); }
  std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) override;
  std::optional<IpAddress> PreferredSource(const IpAddress& remote) override;
  std::span<const uint16_t> SourcePorts(bool more) override;

 private:
  struct Interface {
    Uplink* uplink;
    bool up;
    bool routed = true;
    UplinkUse use = UplinkUse::kNormal;
    size_t subflows = 1;
  };
  Interface* Owner(const IpAddress& address);
  std::vector<LocalAddress> Addresses() const;
  void Check(const OutgoingPacket& outgoing, Packet* packet, const Interface* from);
  void Violation(const std::string& what, const Packet& packet);
  void Report(const std::string& what);

  Simulator* simulator_;
  std::string name_;
  HostConfig config_;
  Rng rng_;
  uint16_t first_port_;
  std::vector<Interface> uplinks_;
  std::vector<uint16_t> ports_;
  std::vector<std::string> violations_;
  bool broken_ = false;  // an invariant: the first one tells
  TcpMonitor monitor_;
  std::unique_ptr<Host> host_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SIM_HOST_H_
