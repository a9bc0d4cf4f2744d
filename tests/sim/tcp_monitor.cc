#include "tests/sim/tcp_monitor.h"

#include <algorithm>

namespace mptcptls::sim {
namespace {

constexpr uint8_t kWindowScale = 3, kSack = 5, kTimestamps = 8, kMptcp = 30;
constexpr size_t kMostHeard = 8;
constexpr uint8_t kLargestShift = 14;  // RFC 7323 2.3

// a < b modulo 2^32 (RFC 9293 3.4)
bool Before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

uint32_t Get32(std::span<const uint8_t> b, size_t at) {
  return static_cast<uint32_t>(b[at]) << 24 | static_cast<uint32_t>(b[at + 1]) << 16 |
         static_cast<uint32_t>(b[at + 2]) << 8 | b[at + 3];
}

uint32_t Length(const TcpView& p) {
  return static_cast<uint32_t>(p.payload().size()) + (p.has(kSyn) ? 1 : 0) + (p.has(kFin) ? 1 : 0);
}

uint32_t Window(const TcpView& p, bool scaled, const std::optional<uint8_t>& scale) {
  const bool shift = scaled && !p.has(kSyn);
  return static_cast<uint32_t>(p.window()) << (shift ? std::min(*scale, kLargestShift) : 0);
}

// A DSS option (RFC 8684 3.3), the low halves of its numbers.
struct DssView {
  std::optional<uint32_t> data_ack, data_end;
  uint32_t length = 0;
};

std::optional<DssView> ViewDss(const TcpView& packet) {
  const auto dss = packet.FindMptcp(kDss);
  if (dss.size() < 4) return std::nullopt;
  const uint8_t flags = dss[3];
  DssView view;
  size_t at = 4;
  const auto number = [&](bool wide) -> std::optional<uint32_t> {
    const size_t size = wide ? 8 : 4;
    if (at + size > dss.size()) return std::nullopt;
    at += size;
    return Get32(dss, at - 4);
  };
  if ((flags & 1) != 0) view.data_ack = number((flags & 2) != 0);
  if ((flags & 4) != 0) {
    const auto dsn = number((flags & 8) != 0);
    if (!dsn || at + 6 > dss.size()) return std::nullopt;
    view.length = static_cast<uint32_t>(dss[at + 4]) << 8 | dss[at + 5];
    if ((flags & 16) != 0 && view.length > 0) --view.length;  // DATA_FIN is no byte of the stream
    view.data_end = *dsn + view.length;
  }
  return view;
}

}  // namespace

TcpMonitor::Opening TcpMonitor::Open(const TcpView& packet) {
  Opening opening;
  opening.isn = packet.seq();
  opening.window = packet.window();
  const auto scale = packet.FindOption(kWindowScale);
  if (scale.size() == 3) opening.scale = scale[2];
  opening.mptcp = !packet.FindOption(kMptcp).empty();
  return opening;
}

void TcpMonitor::Received(const TcpView& packet) {
  const FourTuple seen = packet.tuple();
  Flow& flow = flows_[{seen.remote, seen.local}];
  if (packet.has(kRst)) return;
  if (packet.has(kSyn)) {
    flow.heard.push_back(Open(packet));
    if (flow.heard.size() > kMostHeard) flow.heard.pop_front();
  }
  // Ours went out alone: this one makes the connection, be it a SYN/ACK or a SYN (both open).
  if (packet.has(kSyn) && flow.out && !flow.acked) {
    flow.in = flow.heard.back();
    flow.in_end = packet.seq() + Length(packet);
  } else if (flow.in && Before(flow.in_end, packet.seq() + Length(packet))) {
    flow.in_end = packet.seq() + Length(packet);
  }
  if (!packet.has(kAck) || !flow.in) return;
  const uint32_t window = Window(packet, flow.scaled(), flow.in->scale);
  const auto dss = ViewDss(packet);
  if (dss && dss->data_ack && !data_edge_ && flow.out) {
    // The SYN's window was a promise, too; so far both levels have the same bytes.
    const uint32_t acked = packet.ack() - flow.out->isn - 1;
    data_edge_ = *dss->data_ack - acked + flow.in->window;
  }
  if (dss && dss->data_ack && (!data_edge_ || Before(*data_edge_, *dss->data_ack + window))) {
    data_edge_ = *dss->data_ack + window;
  }
  const uint32_t edge = packet.ack() + window;
  if (!flow.out_edge || Before(*flow.out_edge, edge)) flow.out_edge = edge;
}

std::string TcpMonitor::Begin(const TcpView& packet, Flow* flow) const {
  if (flow->out && flow->out->isn == packet.seq()) {
    flow->out = Open(packet);  // the third SYN may offer less
    return {};
  }
  // Another connection. What came before is not of it, but for the SYN that this one answers.
  const std::deque<Opening> heard = std::move(flow->heard);
  *flow = Flow{};
  flow->out = Open(packet);
  flow->out_end = packet.seq();
  if (!packet.has(kAck)) return {};
  const auto answered = std::ranges::find(heard, packet.ack() - 1, &Opening::isn);
  if (answered == heard.end()) return "a SYN/ACK for no SYN";
  flow->in = *answered;
  flow->in_end = packet.ack();
  flow->out_edge = packet.seq() + 1 + answered->window;
  return {};
}

std::string TcpMonitor::Sent(const TcpView& packet) {
  if (packet.has(kRst)) return {};
  Flow& flow = flows_[packet.tuple()];
  if (packet.has(kSyn)) {
    std::string wrong = Begin(packet, &flow);
    if (!wrong.empty()) return wrong;
  }
  if (!flow.out) return "a segment before the SYN";
  for (const auto check : {CheckSequence, CheckAcknowledgement, CheckWindow, CheckOptions}) {
    std::string wrong = check(packet, &flow);
    if (!wrong.empty()) return wrong;
  }
  return CheckData(packet, &flow);
}

// RFC 8684 3.3.1: the window is relative to the Data ACK that came with it; 3.3.5.
std::string TcpMonitor::CheckData(const TcpView& packet, Flow* flow) {
  const auto dss = ViewDss(packet);
  if (!dss) return {};
  if (dss->data_ack) {
    if (flow->data_acked && Before(*dss->data_ack, *flow->data_acked))
      return "takes a Data ACK back";
    flow->data_acked = dss->data_ack;
  }
  if (one_connection_ && dss->data_end && dss->length > 1 && data_edge_ &&
      Before(*data_edge_, *dss->data_end)) {
    return "mapped " + std::to_string(*dss->data_end - *data_edge_) + " bytes beyond the window";
  }
  return {};
}

std::string TcpMonitor::CheckSequence(const TcpView& packet, Flow* flow) {
  const uint32_t end = packet.seq() + Length(packet);
  if (Before(packet.seq(), flow->out->isn)) return "a segment before the initial sequence number";
  if (Before(flow->out_end, packet.seq())) return "a gap in the sequence space";
  const bool fresh = Before(flow->out_end, end);
  flow->again = !fresh && Length(packet) > 0;
  if (!fresh) return {};
  if (flow->out_fin) return "something new after the FIN";
  if (packet.has(kFin)) flow->out_fin = end;
  flow->out_end = end;
  // A window probe is one byte; a FIN may be sent beyond a window (RFC 9293 3.8.6.1, 3.10.4).
  if (flow->plain() && packet.payload().size() > 1 && flow->out_edge &&
      Before(*flow->out_edge, packet.seq() + static_cast<uint32_t>(packet.payload().size()))) {
    return "sent " + std::to_string(end - *flow->out_edge) + " bytes beyond the peer's window";
  }
  return {};
}

std::string TcpMonitor::CheckAcknowledgement(const TcpView& packet, Flow* flow) {
  if (!packet.has(kAck)) return {};
  if (!flow->in) return "an acknowledgement of nothing";
  if (Before(flow->in_end, packet.ack())) return "acknowledges what was never received";
  if (flow->acked && Before(packet.ack(), *flow->acked)) return "takes an acknowledgement back";
  flow->acked = packet.ack();
  return {};
}

// RFC 9293 3.8.6: the right edge does not move back, but for what scaling rounds (RFC 7323 2.4).
std::string TcpMonitor::CheckWindow(const TcpView& packet, Flow* flow) {
  if (!packet.has(kAck) || !flow->plain()) return {};
  const uint32_t edge = packet.ack() + Window(packet, flow->scaled(), flow->out->scale);
  const uint32_t rounding =
      flow->scaled() ? (1u << std::min(*flow->out->scale, kLargestShift)) - 1 : 0;
  if (flow->in_edge && Before(edge + rounding, *flow->in_edge)) {
    return "the window shrinks by " + std::to_string(*flow->in_edge - edge);
  }
  if (!flow->in_edge || Before(*flow->in_edge, edge)) flow->in_edge = edge;
  return {};
}

std::string TcpMonitor::CheckOptions(const TcpView& packet, Flow* flow) {
  const auto timestamps = packet.FindOption(kTimestamps);
  if (timestamps.size() == 10) {
    const uint32_t value = Get32(timestamps, 2);
    // A retransmission's may lie before those of what was sent just before it, but not in disorder.
    auto* const last = flow->again ? &flow->again_timestamp : &flow->timestamp;
    if (*last && Before(value, **last)) return "a timestamp goes back";
    if (flow->timestamp && Before(*flow->timestamp, value)) flow->timestamp = value;
    *last = value;
  }
  const auto sack = packet.FindOption(kSack);
  for (size_t at = 2; at + 8 <= sack.size(); at += 8) {
    const uint32_t begin = Get32(sack, at), end = Get32(sack, at + 4);
    if (!Before(begin, end)) return "an empty SACK block";
    if (Before(flow->in_end, end)) return "SACKs what was never received";
  }
  return {};
}

}  // namespace mptcptls::sim
