#include "tests/netns/raw_peer.h"

#include <tins/tins.h>

namespace mptcptls::lab {

constexpr uint8_t kMptcpKind = 30;

RawPeer::RawPeer(const Host& host, const std::string& interface, std::string address,
                 std::string server, uint16_t port, const std::string& folder)
    : host_(host),
      address_(std::move(address)),
      server_(std::move(server)),
      port_(port),
      capture_(host, interface, folder + "/raw_peer.pcap", "tcp") {
  // The kernel would reset what it knows nothing of.
  host_.Run(
      "nft 'table inet raw_peer { chain output { type filter hook output priority 0; "
      "tcp flags rst drop; }; }'");
}

void RawPeer::Send(const Segment& segment) {
  Tins::TCP tcp(port_, segment.source_port);
  tcp.seq(segment.sequence);
  tcp.ack_seq(segment.acknowledgement);
  tcp.flags(segment.flags);
  tcp.window(64000);
  if (!segment.mptcp.empty()) {
    tcp.add_option(Tins::TCP::option(kMptcpKind, segment.mptcp.begin(), segment.mptcp.end()));
  }
  Tins::IP packet = Tins::IP(server_, address_) / tcp;
  const Host::Scope scope(host_);
  Tins::PacketSender sender;
  sender.send(packet);
}

std::vector<TracedPacket> RawPeer::Received() const {
  std::vector<TracedPacket> packets;
  for (TracedPacket& packet : ReadTrace(capture_.file())) {
    if (packet.source == server_ && packet.source_port == port_) {
      packets.push_back(std::move(packet));
    }
  }
  return packets;
}

std::optional<TracedPacket> RawPeer::Await(
    uint16_t port, const std::function<bool(const TracedPacket&)>& wanted) const {
  std::optional<TracedPacket> found;
  Eventually([&] {
    for (const TracedPacket& packet : Received()) {
      if (packet.destination_port == port && wanted(packet)) {
        found = packet;
        return true;
      }
    }
    return false;
  });
  return found;
}

}  // namespace mptcptls::lab
