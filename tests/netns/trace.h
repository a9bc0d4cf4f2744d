// What a capture file says about MPTCP, read with libtins: the second opinion on our encoders.
#ifndef MPTCPTLS_TESTS_NETNS_TRACE_H_
#define MPTCPTLS_TESTS_NETNS_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace mptcptls::lab {

// MPTCP option subtypes (RFC 8684, section 8.1).
enum Subtype : uint8_t {
  kMpCapable = 0,
  kMpJoin = 1,
  kDss = 2,
  kAddAddr = 3,
  kRemoveAddr = 4,
  kMpPrio = 5,
  kMpFail = 6,
  kMpFastclose = 7,
  kMpTcprst = 8,
};

struct MptcpOption {
  // From the subtype's byte on: what follows kind and length.
  std::vector<uint8_t> bytes;
  uint8_t subtype() const { return static_cast<uint8_t>(bytes[0] >> 4); }
  // As on the wire, kind and length included.
  size_t length() const { return bytes.size() + 2; }
};

struct TracedPacket {
  double seconds = 0;  // of the capture's clock
  std::string source;  // address
  std::string destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  bool syn = false, ack = false, fin = false, rst = false;
  // As sent, also where the capture cut the packet short.
  size_t payload = 0;
  // The payload's first bytes, 64 at most; zeros where the capture cut them off.
  std::vector<uint8_t> head;
  std::vector<MptcpOption> mptcp;

  // The first option of this subtype, or null.
  const MptcpOption* Find(Subtype subtype) const;
};

// Every TCP packet of the file, in order.
std::vector<TracedPacket> ReadTrace(const std::string& pcap_file);
// Several captures on one host as one, by time.
std::vector<TracedPacket> MergeTraces(const std::vector<std::string>& pcap_files);

// Who authenticates, by the initial handshake of the packets of one connection: "tls-auth", "keys",
// "tcp", or "none" without any SYN/ACK. A SYN/ACK or a third ACK that contradicts the rest makes
// "broken".
std::string ModeOf(const std::vector<TracedPacket>& packets);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_TRACE_H_
