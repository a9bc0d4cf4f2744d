#include "tests/sim/raw_node.h"

#include <tins/tins.h>

namespace mptcptls::sim {
namespace {

void Put32(uint32_t v, std::vector<uint8_t>* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<uint8_t>(v >> shift));
}

}  // namespace

Packet BuildPacket(const RawSegment& s) {
  Tins::TCP tcp(s.tuple.remote.port, s.tuple.local.port);
  tcp.seq(s.seq);
  tcp.ack_seq(s.ack);
  tcp.window(s.window);
  tcp.flags(s.flags);
  for (const auto& [kind, data] : s.options) {
    tcp.add_option(Tins::TCP::option(kind, data.begin(), data.end()));
  }
  const std::string source = s.tuple.local.address.ToString();
  const std::string destination = s.tuple.remote.address.ToString();
  Packet packet;
  if (s.tuple.local.address.family == Family::kV6) {
    auto ip = Tins::IPv6(destination, source) / tcp / Tins::RawPDU(s.payload);
    packet.bytes = ip.serialize();
  } else {
    auto ip = Tins::IP(destination, source) / tcp / Tins::RawPDU(s.payload);
    packet.bytes = ip.serialize();
  }
  return packet;
}

std::vector<uint8_t> JoinSynOption(uint8_t address_id, uint32_t token, uint32_t nonce) {
  std::vector<uint8_t> out = {0x10, address_id};
  Put32(token, &out);
  Put32(nonce, &out);
  return out;
}

std::vector<uint8_t> JoinAckOption(std::span<const uint8_t> hmac) {
  std::vector<uint8_t> out = {0x10, 0};
  out.insert(out.end(), hmac.begin(), hmac.end());
  return out;
}

RawNode::RawNode(Simulator* simulator, Network* network, const std::string& name,
                 const IpAddress& address) {
  simulator->AddNode(this);
  uplink_ = simulator->AddUplink(this, network, name, {address}, {}, {});
}

void RawNode::Receive(Packet packet) {
  received_.push_back(packet);
  const auto view = TcpView::Of(packet.bytes);
  if (view && on_packet_) on_packet_(*view);
}

size_t RawNode::CountReceived(const std::function<bool(const TcpView&)>& which) {
  size_t n = 0;
  for (Packet& p : received_) {
    const auto view = TcpView::Of(p.bytes);
    n += view && which(*view);
  }
  return n;
}

}  // namespace mptcptls::sim
