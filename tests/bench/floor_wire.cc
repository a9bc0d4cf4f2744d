#include "tests/bench/floor_wire.h"

#include <poll.h>

#include <cstring>
#include <stdexcept>

namespace mptcptls::bench {
namespace {

// F: what fits an MTU of 1500 with the 32 bytes of options that MPTCP needs.
constexpr uint16_t kPayloadPerPacket = 1428;

void Require(bool good, const std::string& error) {
  if (!good) throw std::runtime_error(error);
}

}  // namespace

FloorWire::FloorWire(uint16_t source_port, uint16_t listening_port) : packet_(70000) {
  std::string error;
  tun_ = TunDevice::Open("floor%d", &error);
  Require(tun_ != nullptr, error);
  uplinks_ =
      UplinkMonitor::Open({.exclude_ifindex = tun_->ifindex(), .extra_interfaces = {}}, &error);
  Require(uplinks_ != nullptr, error);
  steering_ = Steering::Open(tun_->ifindex(), tun_->name(), &error);
  Require(steering_ != nullptr, error);
  std::vector<PortRange> ports;
  std::vector<SteeredListener> listeners;
  if (source_port != 0) ports.push_back({source_port, source_port});
  if (listening_port != 0) listeners.push_back({IpAddress::V4(0), listening_port});
  Require(steering_->Apply(uplinks_->addresses(), uplinks_->next_hops(), ports, listeners, &error),
          error);
}

void FloorWire::Send(const FourTuple& tuple, uint32_t number, bool last, ByteSpan payload) {
  SegmentHeaders headers;
  headers.tuple = tuple;
  headers.seq = {number};
  headers.has_ack = true;
  headers.fin = last;
  headers.window = 65535;
  OutgoingPacket packet;
  BuildHeaders(headers, payload.size(), &headers_, &packet);
  const Offload offload{
      .partial_checksum = true,
      .gso_size = payload.size() > kPayloadPerPacket ? kPayloadPerPacket : uint16_t{0},
      .header_length = static_cast<uint16_t>(packet.headers.size()),
      .tcp_offset = packet.tcp_offset};
  const auto piece = [](ByteSpan bytes) {
    return iovec{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  };
  const std::array<iovec, 2> pieces{piece(packet.headers), piece(payload)};
  const int result = tun_->Write(packet.family, offload, pieces.data(), payload.empty() ? 1 : 2);
  Require(result == 0, std::string("write to the TUN device: ") + strerror(-result));
}

std::optional<Segment> FloorWire::Receive(std::chrono::milliseconds deadline) {
  for (;;) {
    Offload offload;
    const ssize_t length = tun_->Read(packet_.data(), packet_.size(), &offload);
    Require(length >= 0, std::string("read from the TUN device: ") +
                             strerror(static_cast<int>(length < 0 ? -length : 0)));
    if (length == 0) {
      pollfd ready{tun_->fd(), POLLIN, 0};
      if (deadline.count() == 0 || poll(&ready, 1, static_cast<int>(deadline.count())) == 0) {
        return std::nullopt;
      }
      continue;
    }
    Segment segment;
    const ByteSpan packet(packet_.data(), static_cast<size_t>(length));
    // Whatever else strays here is not ours.
    if (ParseSegment(packet, offload.partial_checksum, &segment) == DropReason::kNone) {
      return segment;
    }
  }
}

}  // namespace mptcptls::bench
