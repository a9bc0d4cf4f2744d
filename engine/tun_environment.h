// The stack's world (stack/environment.h) on this host: packets to the TUN device, routes from
// netlink, source ports from port blocks, randomness from the kernel.
#ifndef MPTCPTLS_ENGINE_TUN_ENVIRONMENT_H_
#define MPTCPTLS_ENGINE_TUN_ENVIRONMENT_H_

#include <functional>

#include "engine/dumps.h"
#include "stack/environment.h"
#include "tun/port_blocks.h"
#include "tun/tun_device.h"
#include "tun/uplinks.h"

namespace mptcptls {

class TunEnvironment final : public Environment {
 public:
  // `more_ports`: the reserved ports grew and must be steered before the next packet.
  TunEnvironment(TunDevice* tun, const UplinkMonitor* uplinks, PortBlocks* ports, Dumps* dumps,
                 std::function<void()> more_ports);

  void Output(const OutgoingPacket& packet) override;
  void Random(std::span<uint8_t> out) override;
  std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) override;
  std::optional<IpAddress> PreferredSource(const IpAddress& remote) override;
  std::span<const uint16_t> SourcePorts(bool more) override;

  uint64_t write_errors() const { return write_errors_; }
  const std::string& port_error() const { return port_error_; }

 private:
  TunDevice* tun_;
  const UplinkMonitor* uplinks_;
  PortBlocks* ports_;
  Dumps* dumps_;
  std::function<void()> more_ports_;
  uint64_t write_errors_ = 0;
  std::string port_error_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_TUN_ENVIRONMENT_H_
