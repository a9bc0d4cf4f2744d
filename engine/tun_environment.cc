#include "engine/tun_environment.h"

#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace mptcptls {

TunEnvironment::TunEnvironment(TunDevice* tun, const UplinkMonitor* uplinks, PortBlocks* ports,
                               Dumps* dumps, std::function<void()> more_ports)
    : tun_(tun),
      uplinks_(uplinks),
      ports_(ports),
      dumps_(dumps),
      more_ports_(std::move(more_ports)) {}

void TunEnvironment::Output(const OutgoingPacket& packet) {
  std::array<iovec, 4> pieces;
  int count = 0;
  const auto add = [&](ByteSpan bytes) {
    pieces[static_cast<size_t>(count++)] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  };
  add(packet.headers);
  for (int i = 0; i < packet.payload_pieces; ++i) add(packet.payload[static_cast<size_t>(i)]);
  const Offload offload{.partial_checksum = true,
                        .gso_size = packet.gso_size,
                        .header_length = static_cast<uint16_t>(packet.headers.size()),
                        .tcp_offset = packet.tcp_offset};
  if (tun_->Write(packet.family, offload, pieces.data(), count) != 0) ++write_errors_;
  if (!dumps_->empty())
    dumps_->Write(CaptureFile::Direction::kOut, pieces.data(), count, packet.tcp_offset);
}

void TunEnvironment::Random(std::span<uint8_t> out) {
  // At most 256 bytes at a time, which the kernel gives whole (getrandom(2)); without randomness
  // there is no security to go on with.
  if (getrandom(out.data(), out.size(), 0) != static_cast<ssize_t>(out.size())) abort();
}

std::optional<uint32_t> TunEnvironment::RouteMtu(const IpAddress& local, const IpAddress& remote) {
  return uplinks_->RouteMtu(local, remote);
}

std::optional<IpAddress> TunEnvironment::PreferredSource(const IpAddress& remote) {
  return uplinks_->PreferredSource(remote);
}

std::span<const uint16_t> TunEnvironment::SourcePorts(bool more) {
  if (more && ports_->Grow(&port_error_)) more_ports_();
  return ports_->ports();
}

}  // namespace mptcptls
