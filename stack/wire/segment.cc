#include "stack/wire/segment.h"

#include <algorithm>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ip.h"

namespace mptcptls {
namespace {

constexpr uint8_t kProtocolTcp = 6;
constexpr size_t kTcpHeader = 20;
enum Flag : uint8_t {
  kFin = 1,
  kSyn = 2,
  kRst = 4,
  kPsh = 8,
  kAck = 16,
  kUrg = 32,
  kEce = 64,
  kCwr = 128
};

uint8_t Flags(const SegmentHeaders& h) {
  return static_cast<uint8_t>((h.fin ? kFin : 0) | (h.syn ? kSyn : 0) | (h.rst ? kRst : 0) |
                              (h.psh ? kPsh : 0) | (h.has_ack ? kAck : 0) | (h.ece ? kEce : 0) |
                              (h.cwr ? kCwr : 0));
}

void StoreV4(const SegmentHeaders& h, size_t total, uint8_t* out) {
  out[0] = 0x45;
  out[1] = h.traffic_class | h.ecn;
  StoreBig(out + 2, static_cast<uint16_t>(total));
  StoreBig(out + 4, h.ip_id);
  StoreBig(out + 6, uint16_t{0x4000});  // DF: path MTU discovery (RFC 1191 3)
  out[8] = h.ttl;
  out[9] = kProtocolTcp;
  StoreBig(out + 10, uint16_t{0});
  std::copy_n(h.tuple.local.address.bytes.begin(), 4, out + 12);
  std::copy_n(h.tuple.remote.address.bytes.begin(), 4, out + 16);
  ChecksumSum sum;
  sum.Add({out, 20});
  StoreBig(out + 10, sum.Complement());
}

void StoreV6(const SegmentHeaders& h, size_t payload_length, uint8_t* out) {
  StoreBig(out, uint32_t{6u << 28 | static_cast<uint32_t>(h.traffic_class | h.ecn) << 20});
  StoreBig(out + 4, static_cast<uint16_t>(payload_length));
  out[6] = kProtocolTcp;
  out[7] = h.ttl;
  std::copy_n(h.tuple.local.address.bytes.begin(), 16, out + 8);
  std::copy_n(h.tuple.remote.address.bytes.begin(), 16, out + 24);
}

void StoreTcp(const SegmentHeaders& h, size_t header_size, size_t tcp_length, uint8_t* out) {
  StoreBig(out, h.tuple.local.port);
  StoreBig(out + 2, h.tuple.remote.port);
  StoreBig(out + 4, h.seq.value);
  StoreBig(out + 8, h.has_ack ? h.ack.value : 0u);
  out[12] = static_cast<uint8_t>(header_size / 4 << 4);
  out[13] = Flags(h);
  StoreBig(out + 14, h.window);
  StoreBig(out + 18, uint16_t{0});
  Encode(h.options, out + kTcpHeader);
  // The device completes it: the field holds the pseudo-header's sum alone.
  ChecksumSum sum;
  AddTcpPseudoHeader(&sum, h.tuple.local.address, h.tuple.remote.address, tcp_length);
  StoreBig(out + 16, sum.Folded());
}

}  // namespace

DropReason ParseSegment(ByteSpan packet, bool partial_checksum, Segment* out) {
  const auto ip = ParseIp(packet);
  if (!ip) return DropReason::kMalformed;
  if (ip->fragment) return DropReason::kFragment;
  if (ip->protocol != kProtocolTcp) return DropReason::kNotTcp;
  const ByteSpan tcp = ip->payload;
  if (tcp.size() < kTcpHeader) return DropReason::kMalformed;
  const size_t header = (tcp[12] >> 4) * 4u;
  if (header < kTcpHeader || header > tcp.size()) return DropReason::kMalformed;
  if (!partial_checksum) {
    ChecksumSum sum;
    AddTcpPseudoHeader(&sum, ip->source, ip->destination, tcp.size());
    sum.Add(tcp);
    if (sum.Complement() != 0) return DropReason::kBadChecksum;
  }
  out->tuple.local = {ip->destination, LoadBig<uint16_t>(&tcp[2])};
  out->tuple.remote = {ip->source, LoadBig<uint16_t>(&tcp[0])};
  if (out->tuple.local.port == 0 || out->tuple.remote.port == 0) return DropReason::kMalformed;
  out->seq = {LoadBig<uint32_t>(&tcp[4])};
  out->ack = {LoadBig<uint32_t>(&tcp[8])};
  const uint8_t flags = tcp[13];
  out->fin = flags & kFin;
  out->syn = flags & kSyn;
  out->rst = flags & kRst;
  out->psh = flags & kPsh;
  out->has_ack = flags & kAck;
  out->urg = flags & kUrg;
  out->ece = flags & kEce;
  out->cwr = flags & kCwr;
  out->window = LoadBig<uint16_t>(&tcp[14]);
  out->urgent = LoadBig<uint16_t>(&tcp[18]);
  out->ecn = ip->ecn;
  out->options = TcpOptions{};
  ParseTcpOptions(tcp.subspan(kTcpHeader, header - kTcpHeader), out->syn, out->has_ack,
                  &out->options);
  out->payload = tcp.subspan(header);
  return DropReason::kNone;
}

bool BuildHeaders(const SegmentHeaders& headers, size_t payload_size,
                  std::array<uint8_t, kMaxHeaders>* buffer, OutgoingPacket* packet) {
  const size_t options = EncodedSize(headers.options);
  if (options > kMaxTcpOptions) return false;
  const Family family = headers.tuple.local.address.family;
  const size_t ip_header = IpHeaderSize(family);
  const size_t tcp_header = kTcpHeader + options;
  const size_t tcp_length = tcp_header + payload_size;
  if (family == Family::kV4) {
    StoreV4(headers, ip_header + tcp_length, buffer->data());
  } else {
    StoreV6(headers, tcp_length, buffer->data());
  }
  StoreTcp(headers, tcp_header, tcp_length, buffer->data() + ip_header);
  packet->family = family;
  packet->tcp_offset = static_cast<uint16_t>(ip_header);
  packet->headers = ByteSpan(buffer->data(), ip_header + tcp_header);
  return true;
}

void SendReset(Environment* environment, const Segment& segment, const TcpOptions& options) {
  SegmentHeaders h;
  h.tuple = segment.tuple;
  h.rst = true;
  if (segment.has_ack) {
    h.seq = segment.ack;
  } else {
    h.has_ack = true;
    h.ack = segment.seq + segment.length();
  }
  h.options = options;
  std::array<uint8_t, kMaxHeaders> buffer;
  OutgoingPacket packet;
  if (BuildHeaders(h, 0, &buffer, &packet)) environment->Output(packet);
}

}  // namespace mptcptls
