// A TCP segment in an IP packet: parsed (Segment) and built (SegmentHeaders). IPv4 (RFC 791), IPv6
// (RFC 8200), TCP (RFC 9293 3.1).
#ifndef MPTCPTLS_STACK_WIRE_SEGMENT_H_
#define MPTCPTLS_STACK_WIRE_SEGMENT_H_

#include <array>
#include <cstdint>

#include "stack/environment.h"
#include "stack/types.h"
#include "stack/wire/seq.h"
#include "stack/wire/tcp_options.h"

namespace mptcptls {

enum class DropReason : uint8_t { kNone, kMalformed, kBadChecksum, kFragment, kNotTcp };

struct Segment {
  FourTuple tuple;  // as the receiver sees it: local is the packet's destination
  Seq seq, ack;
  bool syn = false, has_ack = false, fin = false, rst = false, psh = false, urg = false,
       ece = false, cwr = false;
  uint16_t window = 0;  // raw, not scaled
  uint16_t urgent = 0;
  uint8_t ecn = 0;  // the IP header's two bits
  TcpOptions options;
  ByteSpan payload;  // points into the packet

  // Sequence space it takes (RFC 9293 3.4: SYN and FIN count one each).
  uint32_t length() const {
    return static_cast<uint32_t>(payload.size()) + (syn ? 1 : 0) + (fin ? 1 : 0);
  }
};

// Checks everything before it is used: versions, lengths, header checksum, fragments, TCP checksum
// (unless the kernel vouches for it).
DropReason ParseSegment(ByteSpan packet, bool partial_checksum, Segment* out);

// What a segment to be sent says; the tuple's local end is the source.
struct SegmentHeaders {
  FourTuple tuple;
  Seq seq, ack;
  bool syn = false, has_ack = false, fin = false, rst = false, psh = false, ece = false,
       cwr = false;
  uint16_t window = 0;
  uint8_t ecn = 0;
  uint8_t traffic_class = 0;  // the IP header's byte without ecn's two bits (RFC 2474 3)
  uint16_t ip_id = 0;
  uint8_t ttl = 64;
  TcpOptions options;
};

inline constexpr size_t kMaxHeaders = 40 + 20 + kMaxTcpOptions;

// Fills `buffer` and `packet` (headers, tcp_offset, family; payload pieces and gso_size are the
// caller's). The checksum is the partial one. False when the options exceed 40 bytes (a bug of the
// caller).
bool BuildHeaders(const SegmentHeaders& headers, size_t payload_size,
                  std::array<uint8_t, kMaxHeaders>* buffer, OutgoingPacket* packet);

// The RST that answers a segment for nobody (RFC 9293 3.10.7.1), with `options` on it.
void SendReset(Environment* environment, const Segment& segment, const TcpOptions& options);

inline size_t IpHeaderSize(Family family) { return family == Family::kV4 ? 20 : 40; }

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_SEGMENT_H_
