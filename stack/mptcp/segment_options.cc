// Which MPTCP options a segment carries (PROTOCOL.md 2, 4, 5), within the room that it has.
#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

// Whether `options` still fit; else takes back what was added last.
template <typename T>
void KeepIfFits(MptcpOptions* options, std::optional<T> MptcpOptions::*member, size_t room) {
  if (EncodedSize(*options) > room) (options->*member).reset();
}

}  // namespace

void ConnectionImpl::FillOptions(Subflow& subflow, const SegmentPlan& plan, MptcpOptions* out) {
  Path* path = Of(subflow);
  if (path == nullptr) return;
  using Kind = SegmentPlan::Kind;
  if (plan.kind == Kind::kReset) {
    FillReset(*path, out);
    return;
  }
  if (path->joined) {
    if (plan.kind == Kind::kSyn || plan.kind == Kind::kSynAck || path->confirm_pending) {
      return FillJoin(*path, plan, out);
    }
  } else if (plan.kind == Kind::kSyn) {
    // PROTOCOL.md 1: the third and later SYNs go without, as a middlebox may drop what it does not
    // know.
    if (plan.transmission > 2) offer_dropped_ = true;
    if (offer_ == Offer::kNone || offer_dropped_) return;
    MpCapable capable;
    if (offer_ == Offer::kTls) capable.flags |= MpCapable::kFlagTlsAuth;
    if (services_->config().checksum) capable.flags |= MpCapable::kFlagChecksum;
    if (!services_->config().paths.accept_joins) capable.flags |= MpCapable::kFlagNoJoinHere;
    checksum_ = services_->config().checksum;
    out->capable = capable;
    return;
  } else if (plan.kind == Kind::kSynAck) {
    if (offer_ == Offer::kNone || initiator_) return;
    out->capable = SynAckOption(offer_, checksum_, services_->config().paths,
                                offer_ == Offer::kTls ? local_token_ : local_key_.value());
    return;
  }
  if (!connected_) return;
  if (!mptcp()) {
    if (fallback_ && infinite_left_ > 0 && plan.kind != Kind::kSynAck) {
      --infinite_left_;
      Dss dss;
      dss.has_mapping = true;
      dss.dsn_8 = false;  // room for MP_FAIL beside time stamps
      dss.dsn = SendDsn(plan.kind == Kind::kData ? plan.mapping.dsn : next_);
      dss.ssn = plan.kind == Kind::kData ? plan.mapping.ssn : subflow.next_ssn();
      dss.length = 0;
      if (checksum_) dss.checksum = 0;
      out->dss = dss;
      KeepIfFits(out, &MptcpOptions::dss, plan.room);
      if (fail_due_) {
        out->fail = MpFail{fail_dsn_};
        KeepIfFits(out, &MptcpOptions::fail, plan.room);
      }
    }
    return;
  }
  // Until the peer has shown a DSS, what has SEQ = ISN + 1 says MP_CAPABLE.
  const bool first = initiator_ && !path->joined && !dss_seen_;
  const bool at_start = plan.kind == Kind::kData ? plan.mapping.ssn == 1 : subflow.next_ssn() == 1;
  if (first && at_start && !(fin_due_ && fin_transmissions_ > 1)) {
    out->capable = ThirdAck(plan);
    KeepIfFits(out, &MptcpOptions::capable, plan.room);
    return;
  }
  FillDss(plan, out);
  // Where a DATA_FIN has no room beside SACK the next one takes it. The Data ACK stays: without one
  // the peer may take our options for stripped (RFC 8684 3.7).
  if (plan.kind != Kind::kData && EncodedSize(*out) > plan.room) out->dss->has_mapping = false;
  if (out->dss->has_mapping && out->dss->data_fin) fin_due_ = false;
  KeepIfFits(out, &MptcpOptions::dss, plan.room);
  FillControl(*path, plan, out);
}

MpCapable ConnectionImpl::ThirdAck(const SegmentPlan& plan) const {
  MpCapable capable;
  capable.form = MpCapable::Form::kAck;
  if (mode_ == Mode::kTlsAuth) {
    capable.flags |= MpCapable::kFlagTlsAuth;
    capable.sender = local_token_;
    capable.receiver = remote_token_;
  } else {
    capable.sender = local_key_.value();
    capable.receiver = remote_key_.value();
  }
  if (checksum_) capable.flags |= MpCapable::kFlagChecksum;
  if (!services_->config().paths.accept_joins) capable.flags |= MpCapable::kFlagNoJoinHere;
  if (plan.kind == SegmentPlan::Kind::kData) {
    capable.form = checksum_ ? MpCapable::Form::kDataChecksum : MpCapable::Form::kData;
    capable.data_length = plan.mapping.length;
    capable.checksum = plan.mapping.checksum;
  }
  return capable;
}

void ConnectionImpl::FillReset(const Path& path, MptcpOptions* out) const {
  if (path.reset_set) {
    out->tcp_rst = path.reset;
    if (path.fail_due) out->fail = MpFail{fail_dsn_};
    return;
  }
  if (aborting_) out->fast_close = OwnFastClose();
}

// nullopt: it cannot be proven.
std::optional<FastClose> ConnectionImpl::OwnFastClose() const {
  if (!mptcp()) return std::nullopt;
  if (mode_ == Mode::kKeys) {
    FastClose close;
    std::ranges::copy(remote_key_.span(), close.key.begin());
    return close;
  }
  if (key_ != KeyState::kPresent) return std::nullopt;
  return FastClose{FastCloseTag(SendingKeys(), initiator_, local_token_, remote_token_)};
}

void ConnectionImpl::FillJoin(Path& path, const SegmentPlan& plan, MptcpOptions* out) {
  MpJoin join;
  join.backup = path.own_backup;
  join.address_id = path.local_id;
  join.nonce = path.nonce_local;
  if (plan.kind == SegmentPlan::Kind::kSyn) {
    join.form = MpJoin::Form::kSyn;
    join.token = remote_token_;
  } else {
    const Mac mac = OwnHmac(path, true);
    std::copy_n(mac.begin(), join.hmac.size(), join.hmac.begin());
    join.form =
        plan.kind == SegmentPlan::Kind::kSynAck ? MpJoin::Form::kSynAck : MpJoin::Form::kAck;
  }
  out->join = join;
}

void ConnectionImpl::FillDss(const SegmentPlan& plan, MptcpOptions* out) {
  Dss dss;
  dss.data_ack = DataAckValue();
  if (plan.kind == SegmentPlan::Kind::kData && plan.mapping.length > 0) {
    dss.has_mapping = true;
    dss.dsn_8 = false;
    dss.dsn = SendDsn(plan.mapping.dsn);
    dss.ssn = plan.mapping.ssn;
    dss.length = plan.mapping.length;
    if (checksum_) dss.checksum = plan.mapping.checksum;
  } else if (fin_due_) {
    // DATA_FIN alone: SSN 0, length 1 (RFC 8684 3.3.3).
    dss.has_mapping = true;
    dss.dsn = SendDsn(send_.tail());
    dss.ssn = 0;
    dss.length = 1;
    dss.data_fin = true;
    if (checksum_) dss.checksum = DssChecksum(dss.dsn, 0, 1, {});
  }
  out->dss = dss;
}

// One of: what is to be echoed, taken back, announced.
void ConnectionImpl::FillControl(Path& path, const SegmentPlan& plan, MptcpOptions* out) {
  if (priority_on_ == path.subflow.get()) {
    out->prio = MpPrio{path.own_backup};
    KeepIfFits(out, &MptcpOptions::prio, plan.room);
  }
  if (control_on_ != path.subflow.get() || plan.kind != SegmentPlan::Kind::kAck) return;
  const auto fits = [&] { return EncodedSize(*out) <= plan.room; };
  if (saying_ != nullptr && FillNewKey(plan, out)) {
    saying_ = nullptr;
    return;
  }
  if (!echoes_.empty()) {
    out->add_addr = echoes_.front();
    if (!fits()) out->dss.reset();
    echoes_.pop_front();
    return;
  }
  if (!removals_.empty()) {
    RemoveAddr remove;
    remove.ids[0] = removals_.front();
    remove.count = 1;
    out->remove_addr = remove;
    removals_.pop_front();
    return;
  }
  Announcement* due = nullptr;
  for (Announcement& a : announcements_) {
    if (a.next != kNever && (due == nullptr || a.next < due->next)) due = &a;
  }
  if (due == nullptr) return;
  AddAddr add;
  add.address_id = due->id;
  add.address = due->address;
  add.port = due->port;
  add.hmac =
      AddAddrHmac(SendingKeys(), initiator_, add.address_id, add.address, add.port.value_or(0));
  out->add_addr = add;
  if (!fits()) out->dss.reset();
  if (!fits()) out->add_addr.reset();
  ++due->sent;
  due->next = Time::min();  // SendControl() knows the time
}

}  // namespace mptcptls
