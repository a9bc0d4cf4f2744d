// A node without a stack: a test sends packets from it, byte by byte as it likes, and looks at what
// comes back. The attacker and the strange peer of the scenarios.
#ifndef MPTCPTLS_TESTS_SIM_RAW_NODE_H_
#define MPTCPTLS_TESTS_SIM_RAW_NODE_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/simulator.h"

namespace mptcptls::sim {

// What a raw packet says; built by libtins (BuildPacket), not by the code under test.
struct RawSegment {
  FourTuple tuple;  // local: the source
  uint32_t seq = 0, ack = 0;
  uint8_t flags = 0;
  uint16_t window = 65535;
  std::vector<std::pair<uint8_t, std::vector<uint8_t>>> options;  // kind, what follows the length
  std::vector<uint8_t> payload;
};
Packet BuildPacket(const RawSegment& segment);

// MP_JOIN of a SYN: what follows kind and length (PROTOCOL.md 4).
std::vector<uint8_t> JoinSynOption(uint8_t address_id, uint32_t token, uint32_t nonce);
// MP_JOIN of a third ACK.
std::vector<uint8_t> JoinAckOption(std::span<const uint8_t> hmac);

class RawNode : public Node {
 public:
  RawNode(Simulator* simulator, Network* network, const std::string& name,
          const IpAddress& address);
  void Receive(Packet packet) override;
  void Send(const RawSegment& segment) { uplink_->up().Send(BuildPacket(segment)); }
  void set_on_packet(std::function<void(TcpView)> f) { on_packet_ = std::move(f); }
  const IpAddress& address() const { return uplink_->addresses()[0]; }
  std::vector<Packet>& received() { return received_; }
  size_t CountReceived(const std::function<bool(const TcpView&)>& which);

 private:
  Uplink* uplink_;
  std::function<void(TcpView)> on_packet_;
  std::vector<Packet> received_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_RAW_NODE_H_
