// Receiving at the data level (RFC 8684 3.3): DSS, mappings, reassembly over all subflows, the
// peer's end, and what tears a subflow or the connection down.
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {

namespace {

constexpr size_t kTightWindow = 262144;  // ours: what is promised while memory is short

}  // namespace

uint64_t ConnectionImpl::ExpandReceiveDsn(uint64_t low) const {
  const uint64_t reference = receive_idsn_ + 1 + reassembly_.next();
  return ExpandDsn(static_cast<uint32_t>(low), reference);
}

uint64_t ConnectionImpl::DataAckValue() const {
  return receive_idsn_ + 1 + reassembly_.next() + (peer_fin_reached_ ? 1 : 0);
}

// More is promised to all than there is. Before the last of it is gone, what comes for a program
// that does not read is left to be sent again.
uint64_t ConnectionImpl::ReceiveRoom(const Subflow&) const {
  if (unread_.size() > 0 && services_->blocks()->scarce()) return 0;
  const size_t limit = receive_tuning_.size();
  return limit > unread_.size() ? limit - unread_.size() : 0;
}

uint64_t ConnectionImpl::ReceiveWindow(const Subflow& subflow) const {
  const uint64_t room = ReceiveRoom(subflow);
  return services_->blocks()->tight() ? std::min<uint64_t>(room, kTightWindow) : room;
}

uint64_t ConnectionImpl::ReceivePromise(const Subflow&) const {
  return promised_edge_ > reassembly_.next() ? promised_edge_ - reassembly_.next() : 0;
}

void ConnectionImpl::WindowTold(Subflow&, uint64_t bytes) {
  promised_edge_ = std::max(promised_edge_, reassembly_.next() + bytes);
}

// The window follows what the program reads in a round trip of the slowest subflow: until then its
// bytes keep those of the others waiting.
void ConnectionImpl::NoteRead(Time now, size_t bytes) {
  if (bytes == 0) return;
  Duration rtt{0};
  for (const auto& path : paths_) {
    if (!path->dead && path->usable) rtt = std::max(rtt, path->subflow->receive_rtt());
  }
  const size_t before = receive_tuning_.size();
  receive_tuning_.OnRead(now, bytes, rtt, !services_->blocks()->tight());
  if (receive_tuning_.size() > before) ++services_->counters()->receive_buffer_grown;
}

Verdict ConnectionImpl::OnSegment(Subflow& subflow, Time now, const Segment& segment) {
  Path* path = Of(subflow);
  if (path == nullptr) return Verdict::kDrop;
  const MptcpOptions& o = segment.options.mptcp;
  if (segment.rst) {
    if (mptcp() && o.fast_close && !closed_ && TakeFastClose(now, *o.fast_close, path)) {
      return Verdict::kDrop;
    }
    return Verdict::kAccept;
  }
  if (!mptcp()) return Verdict::kAccept;
  // RFC 8684 3.2: the third ACK of a join again means that our answer to it was lost.
  if (path->joined && !path->initiator && o.join) subflow.SendAck(now);
  if (path->confirm_pending && o.dss) {
    path->confirm_pending = false;
    path->next_third_ack = kNever;
    path->usable = path->authenticated = joined_ever_ = true;
    no_path_since_ = kNever;
    if (path->under_next) TakeOverKeys();
    retries_.erase({path->tuple.local.address, path->tuple.remote});
    ++services_->counters()->joins_accepted;
  }
  if (o.fail && !joined_ever_ && !path->joined) {
    TakeFail(now, path);
    return Verdict::kAccept;
  }
  if (MustFallBack(*path, segment)) {
    FallBack(now);
    return Verdict::kAccept;
  }
  if (o.capable && !initiator_ && !path->joined &&
      (o.capable->form == MpCapable::Form::kData ||
       o.capable->form == MpCapable::Form::kDataChecksum)) {
    ReceivedMapping mapping;
    mapping.ssn = Seq{1};
    mapping.length = o.capable->data_length;
    mapping.dsn = receive_idsn_ + 1;
    if (o.capable->form == MpCapable::Form::kDataChecksum) mapping.checksum = o.capable->checksum;
    TakeMapping(now, path, std::move(mapping));
  }
  if (o.dss) TakeDss(now, path, segment);
  if (path->dead || closed_) return path->dead ? Verdict::kDrop : Verdict::kAccept;
  if (!mptcp()) return Verdict::kAccept;  // an infinite mapping came
  if (o.fast_close && TakeFastClose(now, *o.fast_close, nullptr)) return Verdict::kDrop;
  if (o.new_key) TakeNewKey(now, *o.new_key);
  if (o.add_addr) TakeAddAddr(now, *o.add_addr);
  if (o.remove_addr) TakeRemoveAddr(now, *o.remove_addr);
  if (o.prio) TakePrio(now, path, *o.prio);
  return path->dead ? Verdict::kDrop : Verdict::kAccept;
}

void ConnectionImpl::TakeDss(Time now, Path* path, const Segment& segment) {
  const Dss& dss = *segment.options.mptcp.dss;
  if (dss.has_mapping && dss.length == 0) {
    // Infinite mapping: the peer has fallen back. Only one subflow may ever have been there.
    if (joined_ever_ || path->joined) return ResetPath(now, path, TcpRst::kMptcpError);
    return FallBack(now);
  }
  if (dss.data_ack) {
    const bool news = !dss_seen_;
    dss_seen_ = true;
    const uint64_t reference = SendDsn(una_);
    const uint64_t acked =
        dss.data_ack_8 ? *dss.data_ack : ExpandDsn(static_cast<uint32_t>(*dss.data_ack), reference);
    TakeDataAck(now, acked);
    TakeDataWindow(acked, path->subflow->WindowOf(segment));
    if (news) ManagePaths(now);
  }
  if (!dss.has_mapping) return;
  const uint64_t dsn = dss.dsn_8 ? dss.dsn : ExpandReceiveDsn(dss.dsn);
  uint16_t length = dss.length;
  if (dss.data_fin) {
    --length;
    TakeDataFin(now, ReceiveOffset(dsn) + length);
    if (path->dead || closed_) return;
  }
  if (length == 0) return;
  if (dss.checksum.has_value() != checksum_) {
    ++services_->counters()->mapping_errors;
    return ResetPath(now, path, TcpRst::kMptcpError);
  }
  ReceivedMapping mapping;
  mapping.ssn = Seq{dss.ssn};
  mapping.length = length;
  mapping.dsn = dsn;
  mapping.data_fin = dss.data_fin;
  mapping.checksum = dss.checksum;
  TakeMapping(now, path, std::move(mapping));
}

void ConnectionImpl::TakeMapping(Time now, Path* path, ReceivedMapping mapping) {
  const auto next = Seq{static_cast<uint32_t>(path->subflow->Info().bytes_received + 1)};
  mapped_seen_ = true;
  switch (path->mappings.Add(std::move(mapping), next)) {
    case MappingQueue::Added::kContradiction:
    case MappingQueue::Added::kFull:
      ++services_->counters()->mapping_errors;
      return ResetPath(now, path, TcpRst::kMptcpError);
    default:
      return;
  }
}

void ConnectionImpl::ResetPath(Time now, Path* path, uint8_t reason) {
  path->reset = {false, reason};
  path->reset_set = true;
  path->subflow->Abort(now);
}

// PROTOCOL.md 5. An invalid tag is ignored and the segment keeps its TCP meaning. `reset`: the path
// that it came on, if on a RST.
bool ConnectionImpl::TakeFastClose(Time now, const FastClose& option, const Path* reset) {
  bool valid = false;
  if (mode_ == Mode::kKeys) {
    valid = ConstantTimeEqual(option.key, local_key_.span());
  } else if (key_ == KeyState::kPresent) {
    valid = UnderAnyKey([&](const ConnectionKeys& keys) {
      return ConstantTimeEqual(option.key,
                               FastCloseTag(keys, !initiator_, remote_token_, local_token_));
    });
  }
  if (!valid) {
    ++services_->counters()->fastclose_refused;
    return false;
  }
  aborting_ = false;
  // Answered by RST on all subflows (RFC 8684 3.5): whoever hears nothing else must learn of it.
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (paths_[i]->dead) continue;
    Path& path = *paths_[i];
    closing_subflows_ = true;
    Bury(&path);
    if (&path == reset) {
      path.subflow->Discard();
    } else {
      path.subflow->Abort(now);
    }
  }
  Finish(now, EndReason::kReset);
  return true;
}

// ---- Payload

void ConnectionImpl::OnPayload(Subflow& subflow, Time now, uint32_t ssn, ByteSpan bytes) {
  Path* path = Of(subflow);
  if (path == nullptr || path->dead) return;
  if (!mptcp()) {
    tcp_received_ += bytes.size();
    return ToProgram(now, bytes);
  }
  Seq at{ssn};
  while (!bytes.empty() && !path->dead && mptcp()) {
    ReceivedMapping* mapping = path->mappings.Find(at);
    if (mapping == nullptr) return UnmappedPayload(now, path);
    const uint32_t inside = at - mapping->ssn;
    const size_t size = std::min<size_t>(bytes.size(), mapping->length - inside);
    const ByteSpan piece = bytes.first(size);
    bytes = bytes.subspan(size);
    at = at + static_cast<uint32_t>(size);
    if (checksum_) {
      ChecksummedPayload(now, path, mapping, piece);
    } else {
      ReceiveAt(now, path, ReceiveOffset(mapping->dsn) + inside, piece);
    }
  }
  if (!bytes.empty() && !path->dead && !mptcp()) {
    tcp_received_ += bytes.size();
    ToProgram(now, bytes);
  }
}

void ConnectionImpl::UnmappedPayload(Time now, Path* path) {
  ++services_->counters()->mapping_errors;
  ResetPath(now, path, TcpRst::kMiddlebox);
}

// The bytes wait until all of the mapping is there and its sum is right.
void ConnectionImpl::ChecksummedPayload(Time now, Path* path, ReceivedMapping* mapping,
                                        ByteSpan bytes) {
  mapping->held.insert(mapping->held.end(), bytes.begin(), bytes.end());
  if (mapping->held.size() < mapping->length) return;
  // RFC 8684 3.3.1: over the length as it is in the option, which counts a DATA_FIN.
  const auto length = static_cast<uint16_t>(mapping->length + (mapping->data_fin ? 1 : 0));
  const uint16_t sum = DssChecksum(mapping->dsn, mapping->ssn.value, length, mapping->held);
  if (sum != mapping->checksum) return BadChecksum(now, path, mapping->dsn);
  const std::vector<uint8_t> whole = std::exchange(mapping->held, {});
  ReceiveAt(now, path, ReceiveOffset(mapping->dsn), whole);
}

// RFC 8684 3.7: with several subflows this one is closed, and its data comes on another. If there
// was never more than one, the stream is what that one carries: from now on as plain TCP, with what
// the middlebox made of it.
void ConnectionImpl::BadChecksum(Time now, Path* path, uint64_t dsn) {
  ++services_->counters()->checksum_errors;
  fail_dsn_ = dsn;
  ++services_->counters()->mp_fail_sent;
  if (joined_ever_ || path->joined) {
    path->fail_due = true;
    return ResetPath(now, path, TcpRst::kMiddlebox);
  }
  FallBackByFail(now, path);
}

void ConnectionImpl::FallBackByFail(Time now, Path* path) {
  fail_due_ = true;
  FallBack(now);
  if (!closed_ && !path->dead) path->subflow->SendAck(now);
}

// The peer got something that we did not send. It falls back, and so do we, and say so (RFC 8684
// 3.7).
void ConnectionImpl::TakeFail(Time now, Path* path) {
  ++services_->counters()->mp_fail_received;
  fail_dsn_ = receive_idsn_ + 1 + reassembly_.next();
  ++services_->counters()->mp_fail_sent;
  FallBackByFail(now, path);
}

void ConnectionImpl::ReceiveAt(Time now, Path*, uint64_t offset, ByteSpan bytes) {
  // All that was ever offered, and not a byte more: it counts from what the program took.
  const uint64_t limit =
      std::max(reassembly_.next() - unread_.size() + receive_tuning_.size(), promised_edge_);
  // An offset far behind is one that wrapped below zero: old.
  if (static_cast<int64_t>(offset + bytes.size() - reassembly_.next()) <= 0) {
    services_->counters()->data_duplicate += bytes.size();
    return;
  }
  const auto result = reassembly_.Insert(offset, bytes, limit,
                                         [this, now](ByteSpan piece) { ToProgram(now, piece); });
  services_->counters()->data_duplicate += result.duplicate;
  if (result.beyond > 0) ++services_->counters()->drop_memory;
}

void ConnectionImpl::ToProgram(Time now, ByteSpan bytes) {
  if (closed_ || bytes.empty()) return;
  // RFC 2525 2.17: nobody will ever read this.
  if (orphaned_) return Abort(now);
  size_t taken = 0;
  if (unread_.size() == 0 && observer_ != nullptr) {
    taken = observer_->OnData(*this, now, bytes);
    if (closed_) return;
    NoteRead(now, taken);
  }
  if (taken == bytes.size()) return;
  if (!unread_.Append(bytes.subspan(taken))) {
    // The pool is exhausted: bytes that the peer holds for delivered cannot be kept.
    ++services_->counters()->drop_memory;
    Abort(now);
  }
}

// ---- The end of the peer's direction

void ConnectionImpl::TakeDataFin(Time now, uint64_t offset) {
  if (peer_fin_ && *peer_fin_ != offset) {
    ++services_->counters()->mapping_errors;
    return;
  }
  const bool again = peer_fin_reached_;
  peer_fin_ = offset;
  if (!again) return;
  // Our Data ACK of it was lost.
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (!paths_[i]->dead && paths_[i]->usable) paths_[i]->subflow->SendAck(now);
  }
}

void ConnectionImpl::OnFin(Subflow& subflow, Time now) {
  Path* path = Of(subflow);
  if (path == nullptr || path->dead) return;
  if (!mptcp()) {
    peer_fin_reached_ = true;
    if (closed_) return;
    if (orphaned_ && !LocalEndAcked()) return;
    DeliverPeerClosed(now);
    return;
  }
  // The end of this subflow only; what we sent on it and is not acknowledged still will be.
  path->usable = false;
  path->subflow->Close(now);
}

void ConnectionImpl::OnInputDone(Subflow& subflow, Time now) {
  Path* path = Of(subflow);
  if (path == nullptr || path->dead || closed_) return;
  if (mptcp()) {
    // Before the first Data ACK (see TakeDss) it counts from the beginning.
    if (!dss_seen_) peer_edge_ = std::max<uint64_t>(peer_edge_, subflow.Info().peer_window);
    if (peer_fin_ && !peer_fin_reached_ && *peer_fin_ == reassembly_.next()) {
      peer_fin_reached_ = true;
      subflow.SendAck(now);
      DeliverPeerClosed(now);
      if (closed_) return;
    }
  }
  Push(now);
  if (closed_) return;
  if (write_blocked_) TuneSendBuffer();
  if (write_blocked_ && send_.space() > 0 && send_.space() >= send_tuning_.worth_waking() &&
      !shutdown_) {
    write_blocked_ = false;
    if (observer_ != nullptr && !orphaned_) observer_->OnWritable(*this, now);
    if (closed_) return;
  }
  MaybeFinish(now);
}

}  // namespace mptcptls
