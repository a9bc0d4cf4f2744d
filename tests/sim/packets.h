// Packets for tests, built by libtins: the second opinion on everything that the simulator parses.
#ifndef MPTCPTLS_TESTS_SIM_PACKETS_H_
#define MPTCPTLS_TESTS_SIM_PACKETS_H_

#include <tins/tins.h>

#include <string>
#include <vector>

#include "tests/sim/packet.h"

namespace mptcptls::sim {

struct TcpSpec {
  std::string source = "10.0.0.1", destination = "10.0.0.2";  // or IPv6
  uint16_t source_port = 40000, destination_port = 443;
  uint32_t seq = 1000, ack = 2000;
  uint8_t flags = kAck;
  uint16_t window = 500;
  uint16_t ip_id = 7;
  std::vector<std::pair<uint8_t, std::vector<uint8_t>>> options;  // kind, bytes after kind, length
  std::vector<uint8_t> payload;
};

inline Packet Build(const TcpSpec& spec) {
  Tins::TCP tcp(spec.destination_port, spec.source_port);
  tcp.seq(spec.seq);
  tcp.ack_seq(spec.ack);
  tcp.window(spec.window);
  tcp.flags(spec.flags);
  for (const auto& [kind, data] : spec.options) {
    tcp.add_option(Tins::TCP::option(kind, data.begin(), data.end()));
  }
  Packet packet;
  if (spec.source.find(':') != std::string::npos) {
    auto ip = Tins::IPv6(spec.destination, spec.source) / tcp / Tins::RawPDU(spec.payload);
    packet.bytes = ip.serialize();
  } else {
    auto ip = Tins::IP(spec.destination, spec.source);
    ip.id(spec.ip_id);
    auto whole = ip / tcp / Tins::RawPDU(spec.payload);
    packet.bytes = whole.serialize();
  }
  return packet;
}

inline std::vector<uint8_t> Bytes(size_t n, uint8_t first = 0) {
  std::vector<uint8_t> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint8_t>(first + i * 7);
  return out;
}

// The TCP checksum that libtins computes for this packet.
inline uint16_t TinsChecksum(const Packet& packet) {
  if (packet.bytes[0] >> 4 == 4) {
    Tins::IP ip(packet.bytes.data(), static_cast<uint32_t>(packet.bytes.size()));
    ip.serialize();
    return ip.rfind_pdu<Tins::TCP>().checksum();
  }
  Tins::IPv6 ip(packet.bytes.data(), static_cast<uint32_t>(packet.bytes.size()));
  ip.serialize();
  return ip.rfind_pdu<Tins::TCP>().checksum();
}

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_PACKETS_H_
