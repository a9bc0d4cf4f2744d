// Connections between programs of this host (MPTCPTLS_CAPTURE=all): a stack of its own, whose
// packets come back to it and never reach a device. Nothing from the wire can get there, and it
// knows no uplinks: a connection has one subflow. It serves whoever wants the product's whole way
// on 127.0.0.1, as test suites do.
#ifndef MPTCPTLS_ENGINE_LOOPBACK_H_
#define MPTCPTLS_ENGINE_LOOPBACK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/dumps.h"
#include "stack/environment.h"
#include "stack/host.h"

namespace mptcptls {

class Loopback final : public Environment {
 public:
  static constexpr size_t kMaxQueued = 16u << 20;  // bytes that were sent and not yet delivered
  static constexpr size_t kMaxAddresses = 256;     // of this host, that were ever connected to

  // `outer` gives ports, randomness and the host's choice of source addresses; it and `dumps`
  // outlive this.
  Loopback(const HostConfig& config, Environment* outer, Dumps* dumps);

  Host* host() const { return host_.get(); }

  // Prepares a connection to `remote`, an address of this host: completes options->local_address.
  // False when no captured program listens there, or there is no way: it is the kernel's then.
  bool Admit(Time now, const Endpoint& remote, ConnectOptions* options);

  // Gives the stack what it has sent until now. True when that was something.
  bool Deliver(Time now);
  void GiveMemoryBack();  // where no connection is left
  uint64_t dropped() const { return dropped_; }

  // Environment
  void Output(const OutgoingPacket& packet) override;
  void Random(std::span<uint8_t> out) override { outer_->Random(out); }
  std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) override;
  std::optional<IpAddress> PreferredSource(const IpAddress& remote) override;
  std::span<const uint16_t> SourcePorts(bool more) override { return outer_->SourcePorts(more); }

 private:
  bool Know(Time now, const IpAddress& address);

  Environment* outer_;
  Dumps* dumps_;
  std::unique_ptr<Host> host_;
  // Packets, each behind its length; what is sent during a delivery waits for the next one.
  std::vector<uint8_t> sent_, delivering_;
  uint64_t dropped_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_LOOPBACK_H_
