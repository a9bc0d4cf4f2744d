// The internet checksum (RFC 1071) over pieces of any length, and TCP's pseudo-headers (RFC
// 9293 3.1, RFC 8200 8.1).
#ifndef MPTCPTLS_STACK_WIRE_CHECKSUM_H_
#define MPTCPTLS_STACK_WIRE_CHECKSUM_H_

#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

// Sums pieces one after the other; an odd length is carried over to the next piece.
class ChecksumSum {
 public:
  void Add(ByteSpan bytes);
  void AddWord(uint16_t host_order);
  // The folded sum, host order: what a partial checksum field holds.
  uint16_t Folded() const;
  // Its complement: what a full checksum field holds. 0 over a packet that includes a right
  // checksum.
  uint16_t Complement() const { return static_cast<uint16_t>(~Folded()); }

 private:
  uint64_t sum_ = 0;  // of 16-bit words in network order
  bool odd_ = false;
};

// Adds addresses, protocol 6 and TCP length.
void AddTcpPseudoHeader(ChecksumSum* sum, const IpAddress& source, const IpAddress& destination,
                        size_t tcp_length);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_CHECKSUM_H_
