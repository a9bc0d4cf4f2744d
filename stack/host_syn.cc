// SYNs for listeners: a half-open connection where the queue has room, else a SYN cookie, out of
// whose return the connection is made (RFC 4987 3.6, PROTOCOL.md 7).
#include <algorithm>

#include "stack/host_impl.h"
#include "stack/wire/ip.h"

namespace mptcptls {

void HostImpl::InputSyn(Time now, const Segment& segment, const LocalAddress& local) {
  const Listener* listener = listeners_.Next(segment.tuple.local);
  if (listener == nullptr) return Refuse(segment, {});
  if (connections_.size() >= config_.max_connections || !listener->observer->CanAccept()) {
    ++counters_.drop_limits;
    return;
  }
  // Where TIME-WAIT made room, only a state of its own can begin above the old sequence numbers.
  if (!reuse_ && !syn_queue_.HasRoom(listener->id)) return AnswerByCookie(now, segment, *listener);
  const ListenOptions options = listener->options;
  ConnectionImpl* connection = NewResponder(listener->id);
  connection->Accept(now, segment, local, options);
}

ConnectionImpl* HostImpl::NewResponder(ListenerId listener) {
  const uint64_t id = ++last_id_;
  auto owned = std::make_unique<ConnectionImpl>(this, id, false);
  ConnectionImpl* connection = owned.get();
  connections_[id] = std::move(owned);
  syn_queue_.Add(id, listener);
  return connection;
}

// Says what the SYN/ACK of a connection would say, and keeps nothing.
void HostImpl::AnswerByCookie(Time now, const Segment& syn, const Listener& listener) {
  const auto config = NewSubflowConfig(now, syn.tuple);
  if (!config) {
    ++counters_.drop_limits;
    return;
  }
  SynCookie cookie = cookies_.Make(now, syn);
  cookie.token = LayOutToken(cookie.token);
  SegmentHeaders headers;
  headers.tuple = syn.tuple;
  headers.syn = headers.has_ack = true;
  headers.seq = cookie.isn;
  headers.ack = syn.seq + 1;
  headers.ip_id = static_cast<uint16_t>(cookie.isn.value >> 8);
  headers.window = static_cast<uint16_t>(std::min<size_t>(config_.receive_buffer, 65535));
  TcpOptions& o = headers.options;
  const auto ip = static_cast<uint32_t>(IpHeaderSize(syn.tuple.local.address.family));
  o.mss = static_cast<uint16_t>(std::min<uint32_t>(config->mtu - ip - 20, 65535));
  o.sack_permitted = syn.options.sack_permitted;
  if (syn.options.window_scale) o.window_scale = config->window_scale;
  if (syn.options.timestamps) {
    o.timestamps = Timestamps{config->TimestampClock(now), syn.options.timestamps->value};
  }
  if (syn.options.mptcp.capable) {
    o.mptcp.capable = ConnectionImpl::AnswerWithoutState(*syn.options.mptcp.capable,
                                                         listener.options, config_, cookie);
    // A secret that is taken already would be refused later: no MPTCP then, at once.
    if (o.mptcp.capable && by_token_.contains(ConnectionImpl::TokenOf(*o.mptcp.capable))) {
      o.mptcp.capable.reset();
    }
  }
  std::array<uint8_t, kMaxHeaders> buffer;
  OutgoingPacket packet;
  if (!BuildHeaders(headers, 0, &buffer, &packet)) {
    ++counters_.bugs;
    return;
  }
  ++counters_.syncookies_sent;
  ++counters_.packets_out;
  environment_->Output(packet);
}

// An ACK for no connection: false when it returns no cookie of ours.
bool HostImpl::InputCookie(Time now, const Segment& segment, const LocalAddress& local) {
  if (!cookies_.Awaited(now) || !segment.has_ack || segment.syn) return false;
  const Listener* listener = listeners_.Next(segment.tuple.local);
  if (listener == nullptr) return false;
  auto cookie = cookies_.Check(now, segment);
  if (!cookie) {
    ++counters_.syncookies_failed;
    return false;
  }
  const MptcpOptions& o = segment.options.mptcp;
  const bool lost_capable = !o.capable && o.dss && !segment.payload.empty();  // PROTOCOL.md 2
  if (connections_.size() >= config_.max_connections || lost_capable ||
      !listener->observer->CanAccept()) {
    ++counters_.drop_limits;  // the peer repeats it
    return true;
  }
  cookie->token = LayOutToken(cookie->token);
  ++counters_.syncookies_received;
  const ListenOptions options = listener->options;
  ConnectionImpl* connection = NewResponder(listener->id);
  connection->AcceptCookie(now, segment, local, options, *cookie);
  return true;
}

}  // namespace mptcptls
