// A packet on a simulated wire, and what links and middleboxes may do to it. Parsing and checksums
// here are the simulator's own, independent of stack/wire, so that neither can hide the other's
// mistakes; the simulator's tests check them with libtins.
#ifndef MPTCPTLS_TESTS_SIM_PACKET_H_
#define MPTCPTLS_TESTS_SIM_PACKET_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stack/types.h"

namespace mptcptls::sim {

struct Packet {
  std::vector<uint8_t> bytes;     // from the IP header on
  uint16_t gso_size = 0;          // payload bytes per packet once it is cut; 0: one packet already
  bool partial_checksum = false;  // the TCP checksum holds the pseudo-header's sum only
};

enum TcpFlag : uint8_t {
  kFin = 0x01,
  kSyn = 0x02,
  kRst = 0x04,
  kPsh = 0x08,
  kAck = 0x10,
  kUrg = 0x20,
  kEce = 0x40,
  kCwr = 0x80,
};

// MPTCP option subtypes (RFC 8684 3), as bits of a set.
enum MptcpSubtype : uint8_t {
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

// A checked, writable view of a TCP packet; valid while the packet's bytes stay where they are.
class TcpView {
 public:
  // nullopt when it is not a whole TCP packet over IPv4 or IPv6 (fragments and extension headers
  // are not whole).
  static std::optional<TcpView> Of(std::span<uint8_t> packet);

  Family family() const { return family_; }
  IpAddress source() const;
  IpAddress destination() const;
  void set_source(const IpAddress& address);
  void set_destination(const IpAddress& address);
  FourTuple tuple() const;  // local: the packet's source

  uint16_t source_port() const { return Get16(tcp_); }
  uint16_t destination_port() const { return Get16(tcp_ + 2); }
  uint32_t seq() const { return Get32(tcp_ + 4); }
  uint32_t ack() const { return Get32(tcp_ + 8); }
  uint8_t flags() const { return bytes_[tcp_ + 13]; }
  uint16_t window() const { return Get16(tcp_ + 14); }
  void set_seq(uint32_t v) { Put32(tcp_ + 4, v); }
  void set_flags(uint8_t v) { bytes_[tcp_ + 13] = v; }
  uint16_t ip_id() const { return Get16(4); }  // IPv4 only
  void set_ip_id(uint16_t v) { Put16(4, v); }

  // The IP header's congestion mark, where the sender is capable of it (RFC 3168 5).
  void MarkCongestion();

  size_t tcp_offset() const { return tcp_; }
  size_t payload_offset() const { return payload_; }
  std::span<uint8_t> options() const { return bytes_.subspan(tcp_ + 20, payload_ - tcp_ - 20); }
  std::span<uint8_t> payload() const { return bytes_.subspan(payload_); }
  bool has(uint8_t all_of) const { return (flags() & all_of) == all_of; }

  // The first option of `kind` (with its kind and length bytes); empty when there is none.
  std::span<uint8_t> FindOption(uint8_t kind) const;
  // The first MPTCP option with this subtype; empty when there is none.
  std::span<uint8_t> FindMptcp(uint8_t subtype) const;

  // Lengths in the IP header as bytes().size() says, IPv4 header checksum anew.
  void FixLengths();
  // The TCP checksum that the packet should carry, complete or the pseudo-header's sum.
  uint16_t Checksum() const;
  uint16_t PseudoHeaderSum() const;
  uint16_t checksum() const { return Get16(tcp_ + 16); }
  void set_checksum(uint16_t v) { Put16(tcp_ + 16, v); }
  bool Ipv4HeaderValid() const;  // true for IPv6

  std::string ToString() const;  // one line, as a reader of dumps expects it

 private:
  TcpView(std::span<uint8_t> bytes, Family family, size_t tcp, size_t payload)
      : bytes_(bytes), family_(family), tcp_(tcp), payload_(payload) {}
  uint16_t Get16(size_t at) const {
    return static_cast<uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
  }
  uint32_t Get32(size_t at) const { return static_cast<uint32_t>(Get16(at)) << 16 | Get16(at + 2); }
  void Put16(size_t at, uint16_t v) {
    bytes_[at] = static_cast<uint8_t>(v >> 8);
    bytes_[at + 1] = static_cast<uint8_t>(v);
  }
  void Put32(size_t at, uint32_t v) {
    Put16(at, static_cast<uint16_t>(v >> 16));
    Put16(at + 2, static_cast<uint16_t>(v));
  }

  std::span<uint8_t> bytes_;
  Family family_;
  size_t tcp_;
  size_t payload_;
};

// Makes lengths and checksums right after a change, complete or partial as the packet's flag says.
void Seal(Packet* packet);

// Completes a partial checksum, as a NIC or a link without checksum offload does.
void CompleteChecksum(Packet* packet);

// Cuts a GSO packet as the kernel does: gso_size payload bytes each, the same options on each,
// sequence number advanced, FIN and PSH on the last only, CWR on the first only, IPID + 1. A packet
// that is not to be cut comes back as it is.
std::vector<Packet> Cut(Packet packet);

// Joins `next` to the end of `first` as the kernel's GRO does (byte-identical options, same ACK and
// window, IPID + 1); false, with `first` untouched, where GRO would not.
bool Merge(Packet* first, const Packet& next);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_PACKET_H_
