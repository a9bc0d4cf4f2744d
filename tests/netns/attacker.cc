#include "tests/netns/attacker.h"

#include <tins/tins.h>

namespace mptcptls::lab {

constexpr uint8_t kMptcpKind = 30;

Attacker::Attacker(const Host& host, const std::string& interface, std::string address,
                   const std::string& folder)
    : host_(host),
      address_(std::move(address)),
      capture_(host, interface, folder + "/attacker.pcap", "tcp and dst host " + address_, 160) {
  // The kernel would reset what it knows nothing of; the capture sees packets before this.
  host_.Run(
      "nft 'table inet attacker { chain input { type filter hook input priority 0; "
      "meta l4proto tcp drop; }; }'");
}

void Attacker::Send(const Segment& segment) const {
  Tins::TCP tcp(segment.destination_port, segment.source_port);
  tcp.seq(segment.sequence);
  tcp.ack_seq(segment.acknowledgement);
  tcp.flags(segment.flags);
  tcp.window(64000);
  if (!segment.mptcp.empty()) {
    tcp.add_option(Tins::TCP::option(kMptcpKind, segment.mptcp.begin(), segment.mptcp.end()));
  }
  Tins::IP packet =
      Tins::IP(segment.destination, segment.source.empty() ? address_ : segment.source) / tcp;
  const Host::Scope scope(host_);
  Tins::PacketSender sender;
  sender.send(packet);
}

std::vector<TracedPacket> Attacker::Received() const { return ReadTrace(capture_.file()); }

std::optional<TracedPacket> Attacker::Await(const Wanted& wanted,
                                            std::chrono::milliseconds deadline) const {
  std::optional<TracedPacket> found;
  Eventually(
      [&] {
        for (const TracedPacket& packet : Received()) {
          if (!wanted(packet)) continue;
          found = packet;
          return true;
        }
        return false;
      },
      deadline);
  return found;
}

}  // namespace mptcptls::lab
