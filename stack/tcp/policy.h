// What an administrator decides about every subflow of a host.
#ifndef MPTCPTLS_STACK_TCP_POLICY_H_
#define MPTCPTLS_STACK_TCP_POLICY_H_

#include <cstdint>

namespace mptcptls {

enum class CongestionAlgorithm : uint8_t {
  kCubic,    // RFC 9438
  kNewReno,  // RFC 5681
  // The subflows of a connection together; a lone one is as NewReno.
  kLia,    // RFC 6356
  kOlia,   // draft-khalili-mptcp-congestion-control-05
  kBalia,  // draft-walid-mptcp-congestion-control-04
};

// RFC 3168; net.ipv4.tcp_ecn 0, 2 and 1.
enum class EcnMode : uint8_t {
  kOff,
  kAnswer,  // where the peer asks
  kAsk,     // and ask ourselves
};

struct TcpPolicy {
  CongestionAlgorithm congestion = CongestionAlgorithm::kCubic;
  bool pacing = true;
  EcnMode ecn = EcnMode::kAnswer;
  bool operator==(const TcpPolicy&) const = default;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_POLICY_H_
