// Any bytes as an IP packet: parsed or refused, never read beyond, and what was parsed can be built
// and parsed again to the same. The first byte: bit 0, the checksum is vouched for; bit 1, lengths
// and checksums are made right first, so that the parser behind them is reached.
#include <algorithm>

#include "stack/wire/icmp.h"
#include "stack/wire/segment.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/packet.h"

namespace mptcptls::fuzz {
namespace {

bool SameOptions(const TcpOptions& a, const TcpOptions& b) {
  return a.mss == b.mss && a.window_scale == b.window_scale &&
         a.sack_permitted == b.sack_permitted && a.sack_count == b.sack_count &&
         a.timestamps.has_value() == b.timestamps.has_value() &&
         a.mptcp.capable.has_value() == b.mptcp.capable.has_value() &&
         a.mptcp.join.has_value() == b.mptcp.join.has_value() &&
         a.mptcp.dss.has_value() == b.mptcp.dss.has_value() &&
         a.mptcp.add_addr.has_value() == b.mptcp.add_addr.has_value() &&
         a.mptcp.remove_addr.has_value() == b.mptcp.remove_addr.has_value() &&
         a.mptcp.prio.has_value() == b.mptcp.prio.has_value() &&
         a.mptcp.fail.has_value() == b.mptcp.fail.has_value() &&
         a.mptcp.fast_close.has_value() == b.mptcp.fast_close.has_value() &&
         a.mptcp.new_key.has_value() == b.mptcp.new_key.has_value() &&
         a.mptcp.tcp_rst.has_value() == b.mptcp.tcp_rst.has_value() && b.mptcp.malformed == 0;
}

void Rebuild(const Segment& segment) {
  SegmentHeaders headers;
  headers.tuple = {segment.tuple.remote, segment.tuple.local};
  headers.seq = segment.seq;
  headers.ack = segment.ack;
  headers.syn = segment.syn;
  headers.has_ack = segment.has_ack;
  headers.fin = segment.fin;
  headers.rst = segment.rst;
  headers.options = segment.options;
  headers.options.mptcp.malformed = 0;
  std::array<uint8_t, kMaxHeaders> buffer;
  OutgoingPacket packet;
  if (!BuildHeaders(headers, 0, &buffer, &packet)) return;  // too long once padded: refused
  Segment again;
  FUZZ_CHECK(ParseSegment(packet.headers, true, &again) == DropReason::kNone);
  FUZZ_CHECK(again.tuple == segment.tuple);
  FUZZ_CHECK(again.seq == segment.seq && again.syn == segment.syn && again.fin == segment.fin);
  FUZZ_CHECK(SameOptions(segment.options, again.options));
}

}  // namespace
}  // namespace mptcptls::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls;
  if (size < 1) return 0;
  const uint8_t how = data[0];
  // A block of exactly this size on the heap: one byte beyond is one too many.
  sim::Packet packet;
  packet.bytes.assign(data + 1, data + size);
  if ((how & 2) != 0 && packet.bytes.size() >= 20) sim::Seal(&packet);
  Segment segment;
  if (ParseSegment(packet.bytes, (how & 1) != 0, &segment) == DropReason::kNone) {
    const uint8_t* begin = packet.bytes.data();
    FUZZ_CHECK(segment.payload.empty() ||
               (segment.payload.data() >= begin &&
                segment.payload.data() + segment.payload.size() <= begin + packet.bytes.size()));
    FUZZ_CHECK(segment.options.sack_count <= segment.options.sack.size());
    fuzz::Rebuild(segment);
  }
  IcmpError error;
  ParseIcmpError(packet.bytes, &error);
  return 0;
}
