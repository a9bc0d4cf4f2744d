// Where a packet goes: to a subflow by its 4-tuple, to a connection by MP_JOIN's token, to a
// listener, or back as a RST.
#include "stack/host_impl.h"
#include "stack/wire/icmp.h"
#include "stack/wire/ip.h"

namespace mptcptls {
namespace {

constexpr uint8_t kIcmp = 1, kIcmp6 = 58;

bool IsIcmp(ByteSpan packet) {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return packet[9] == kIcmp;
  return packet.size() >= 40 && packet[0] >> 4 == 6 && packet[6] == kIcmp6;
}

MptcpOptions Saying(const std::optional<TcpRst>& reason) {
  MptcpOptions options;
  options.tcp_rst = reason;
  return options;
}

}  // namespace

void HostImpl::Input(Time now, ByteSpan packet, bool partial_checksum) {
  Scope scope(this);
  ++counters_.packets_in;
  if (IsIcmp(packet)) return InputIcmp(now, packet);
  Segment segment;
  if (!CountDrop(ParseSegment(packet, partial_checksum, &segment))) return;
  counters_.options_malformed += segment.options.mptcp.malformed;
  const auto it = subflows_.find(segment.tuple);
  if (it == subflows_.end()) return InputUnknown(now, segment);
  const auto iss = it->second->IssOfNext(segment);
  if (!iss || !MayOpen(segment)) return it->second->Input(now, segment);
  // The old one leaves without a word.
  ++counters_.time_wait_reused;
  it->second->Abort(now);
  reuse_ = {segment.tuple, *iss};
  InputUnknown(now, segment);
  reuse_.reset();
}

// Whether anybody could take this SYN: else TIME-WAIT is not given up for it.
bool HostImpl::MayOpen(const Segment& syn) const {
  const auto& join = syn.options.mptcp.join;
  return join ? by_token_.contains(join->token) : listeners_.Any(syn.tuple.local);
}

// True: no reason to drop it.
bool HostImpl::CountDrop(DropReason reason) {
  switch (reason) {
    case DropReason::kNone:
      return true;
    case DropReason::kMalformed:
      ++counters_.drop_malformed;
      return false;
    case DropReason::kBadChecksum:
      ++counters_.drop_checksum;
      return false;
    case DropReason::kFragment:
      ++counters_.drop_fragment;
      return false;
    case DropReason::kNotTcp:
      ++counters_.drop_not_tcp;
      return false;
  }
  return false;
}

void HostImpl::InputIcmp(Time now, ByteSpan packet) {
  IcmpError error;
  if (!ParseIcmpError(packet, &error)) {
    ++counters_.drop_not_tcp;
    return;
  }
  const auto it = subflows_.find(error.tuple);
  if (it == subflows_.end()) {
    ++counters_.icmp_ignored;
    return;
  }
  it->second->OnIcmpError(now, error);
}

void HostImpl::InputUnknown(Time now, const Segment& segment) {
  const LocalAddress* local = FindLocal(segment.tuple.local.address);
  // An address that we do not have (any more) does not answer.
  if (local == nullptr || segment.rst) {
    ++counters_.drop_no_connection;
    return;
  }
  // A copy: callbacks may change the addresses.
  const LocalAddress address = *local;
  if (!segment.syn || segment.has_ack) {
    if (!InputCookie(now, segment, address)) RefuseUnknown(segment);
    return;
  }
  if (segment.options.mptcp.join) return InputJoin(now, segment, address);
  InputSyn(now, segment, address);
}

// Whoever asks a connection that was broken off must hear so again (fast_close_memory.h).
void HostImpl::RefuseUnknown(const Segment& segment) {
  MptcpOptions said;
  said.fast_close = fast_closes_.Find(segment.tuple);
  Refuse(segment, said);
}

// PROTOCOL.md 4: by token, but only on the connection's own port or one that it announced.
void HostImpl::InputJoin(Time now, const Segment& segment, const LocalAddress& local) {
  const auto it = by_token_.find(segment.options.mptcp.join->token);
  if (it == by_token_.end() || !it->second->PortIsOurs(segment.tuple.local.port)) {
    ++counters_.joins_refused_token;
    return Refuse(segment, Saying(TcpRst{false, TcpRst::kMptcpError}));
  }
  ConnectionImpl* connection = it->second;
  if (connection->OnJoinSyn(now, segment, local) == Verdict::kReset) {
    Refuse(segment, Saying(connection->JoinRefusal()));
  }
}

void HostImpl::Refuse(const Segment& segment, const MptcpOptions& said) {
  ++counters_.drop_no_connection;
  ++counters_.resets_sent;
  ++counters_.packets_out;
  TcpOptions options;
  options.mptcp = said;
  SendReset(environment_, segment, options);
}

}  // namespace mptcptls
