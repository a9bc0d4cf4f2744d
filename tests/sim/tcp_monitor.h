// A second opinion on what a host says: it sees each packet that the host sends and gets, and knows
// nothing else of it. Checked are promises of RFC 9293, RFC 7323 and RFC 2018 that hold for any
// stack: what may be sent beyond the peer's window, what may be acknowledged, what may be taken
// back.
#ifndef MPTCPTLS_TESTS_SIM_TCP_MONITOR_H_
#define MPTCPTLS_TESTS_SIM_TCP_MONITOR_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "tests/sim/packet.h"

namespace mptcptls::sim {

class TcpMonitor {
 public:
  // Before the host looks at it.
  void Received(const TcpView& packet);
  // Returns what is wrong with the packet; empty is right.
  std::string Sent(const TcpView& packet);
  // All MPTCP flows are of one connection: then what they say at the data level can be compared.
  void set_one_connection(bool on) { one_connection_ = on; }

 private:
  // One side's SYN.
  struct Opening {
    uint32_t isn = 0;
    uint16_t window = 0;
    std::optional<uint8_t> scale;
    bool mptcp = false;
  };
  // Seen from the host: `out` is what it sent, `in` what it got.
  struct Flow {
    std::optional<Opening> out, in;
    std::deque<Opening> heard;                // SYNs that may still be answered, the newest last
    uint32_t out_end = 0;                     // sequence number after the last one sent
    std::optional<uint32_t> out_fin;          // sequence number after our FIN
    std::optional<uint32_t> out_edge;         // the peer's window ends here, at best
    uint32_t in_end = 0;                      // after the last one received
    std::optional<uint32_t> acked;            // what was acknowledged last
    std::optional<uint32_t> in_edge;          // the farthest edge that was promised
    bool again = false;                       // what is being looked at was sent before
    std::optional<uint32_t> timestamp;        // the last one sent
    std::optional<uint32_t> again_timestamp;  // and of what was sent again
    std::optional<uint32_t> data_acked;

    bool scaled() const { return out && in && out->scale && in->scale; }
    // Windows of MPTCP are the data level's (RFC 8684 3.3.1), and so may those of a fallback have
    // been.
    bool plain() const { return out && in && !(out->mptcp && in->mptcp); }
  };

  static Opening Open(const TcpView& packet);
  std::string Begin(const TcpView& packet, Flow* flow) const;
  static std::string CheckSequence(const TcpView& packet, Flow* flow);
  static std::string CheckAcknowledgement(const TcpView& packet, Flow* flow);
  static std::string CheckWindow(const TcpView& packet, Flow* flow);
  static std::string CheckOptions(const TcpView& packet, Flow* flow);
  std::string CheckData(const TcpView& packet, Flow* flow);

  std::map<FourTuple, Flow> flows_;  // by the host's own view: local first
  bool one_connection_ = false;
  std::optional<uint32_t> data_edge_;  // the peer's window at the data level, low half
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_TCP_MONITOR_H_
