// The first handshake: the three outcomes of PROTOCOL.md 1, and the ways back to plain TCP (RFC
// 8684 3.1, 3.7).
#include "stack/mptcp/capability_cache.h"
#include "stack/mptcp/connection_impl.h"
#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

constexpr int kInfiniteRepeats = 10;  // ours: on how many segments the infinite mapping is told

}  // namespace

ConnectionImpl::Offer ConnectionImpl::ChooseOffer(Time now, const ConnectOptions& options) {
  switch (options.auth) {
    case AuthPolicy::kTls:
      return Offer::kTls;
    case AuthPolicy::kKeys:
      return Offer::kKeys;
    case AuthPolicy::kTcp:
      return Offer::kNone;
    case AuthPolicy::kAuto:
      break;
  }
  const auto known = services_->cache()->Find(now, first_.local.address, first_.remote);
  if (known == Capability::kTcp) return Offer::kNone;
  if (!options.tls_hooked || options.clear_port || known == Capability::kClear ||
      known == Capability::kKeys) {
    return Offer::kKeys;
  }
  return Offer::kTls;
}

// Our token (TLS-auth) or key and the token that follows from it (RFC 8684 3.1). Only an initiator
// has to be ready for both answers: Key-A is then made as well.
void ConnectionImpl::MakeSecrets() {
  while (!token_claimed_) {
    std::array<uint8_t, 8> random;
    services_->environment()->Random(random);
    local_key_ = Key(ByteSpan(random));
    local_token_ = offer_ == Offer::kTls ? services_->RandomToken() : TokenOfKey(local_key_);
    token_claimed_ = services_->ClaimToken(local_token_, this);
  }
}

void ConnectionImpl::BecomeMptcp(Mode mode, const MpCapable& peer) {
  mode_ = mode;
  began_mptcp_ = true;
  checksum_ = checksum_ || (peer.flags & MpCapable::kFlagChecksum) != 0;
  if (mode == Mode::kTlsAuth) {
    remote_token_ = static_cast<uint32_t>(peer.sender);
    send_idsn_ = IdsnOfTokens(local_token_, remote_token_);
    receive_idsn_ = IdsnOfTokens(remote_token_, local_token_);
    ++services_->counters()->capable_tls_auth;
  } else {
    remote_key_ = Key(peer.sender);
    remote_token_ = TokenOfKey(remote_key_);
    send_idsn_ = IdsnOfKey(local_key_);
    receive_idsn_ = IdsnOfKey(remote_key_);
    keys_ = initiator_ ? ConnectionKeys{local_key_, remote_key_}
                       : ConnectionKeys{remote_key_, local_key_};
    ++services_->counters()->capable_keys;
  }
}

void ConnectionImpl::BecomeTcp() {
  mode_ = Mode::kTcp;
  offer_ = Offer::kNone;
  for (const auto& path : paths_) path->subflow->SetWindowsAtDataLevel(false);
  if (token_claimed_) services_->ReleaseToken(local_token_);
  token_claimed_ = false;
  ++services_->counters()->capable_tcp;
}

// PROTOCOL.md 1, "Capability cache": only answers to a SYN that carried the option, only under
// auto.
void ConnectionImpl::RecordAnswer(Time now, Mode answer) {
  if (auth_ != AuthPolicy::kAuto || offer_ == Offer::kNone || offer_dropped_) return;
  CapabilityCache* cache = services_->cache();
  const auto known = cache->Find(now, first_.local.address, first_.remote);
  if (answer == Mode::kTlsAuth) {
    return cache->Store(now, first_.local.address, first_.remote, Capability::kTlsAuth);
  }
  if (known == Capability::kTlsAuth) {
    ++services_->counters()->weaker_answers;
    return;
  }
  if (answer == Mode::kKeys) return;
  const auto next = offer_ == Offer::kTls ? Capability::kKeys : Capability::kTcp;
  cache->Store(now, first_.local.address, first_.remote, next);
}

// A's side: does the SYN/ACK answer the offer?
Verdict ConnectionImpl::TakeSynAck(Time now, const Segment& segment) {
  const auto& answer = segment.options.mptcp.capable;
  const bool valid = offer_ != Offer::kNone && !offer_dropped_ && answer &&
                     answer->form == MpCapable::Form::kSynAck && answer->version == 1 &&
                     answer->ValidFlags() && (!answer->tls_auth() || offer_ == Offer::kTls) &&
                     (answer->tls_auth() || auth_ != AuthPolicy::kTls);
  if (!valid) {
    RecordAnswer(now, Mode::kTcp);
    BecomeTcp();
    return Verdict::kAccept;
  }
  const Mode mode = answer->tls_auth() ? Mode::kTlsAuth : Mode::kKeys;
  RecordAnswer(now, mode);
  if (mode == Mode::kKeys && offer_ == Offer::kTls) {
    // The token must follow from the key now.
    services_->ReleaseToken(local_token_);
    token_claimed_ = false;
    offer_ = Offer::kKeys;
    MakeSecrets();
  }
  BecomeMptcp(mode, *answer);
  // Flag C: joins may only go to what ADD_ADDR says (RFC 8684 3.1).
  if ((answer->flags & MpCapable::kFlagNoJoinHere) != 0) remotes_.clear();
  return Verdict::kAccept;
}

ConnectionImpl::Offer ConnectionImpl::AnswerTo(const MpCapable& offer,
                                               const ListenOptions& options) {
  if (offer.form != MpCapable::Form::kSyn || !offer.ValidFlags()) return Offer::kNone;
  if (options.auth == AuthPolicy::kTcp) return Offer::kNone;
  if (options.auth == AuthPolicy::kTls && !offer.tls_auth()) return Offer::kNone;
  const bool tls = offer.tls_auth() &&
                   (options.auth == AuthPolicy::kTls ||
                    (options.auth == AuthPolicy::kAuto && options.tls_hooked && !options.clear));
  return tls ? Offer::kTls : Offer::kKeys;
}

void ConnectionImpl::ChooseAnswer(const MpCapable& offer, const ListenOptions& options,
                                  const SynCookie* cookie) {
  offer_ = AnswerTo(offer, options);
  if (offer_ == Offer::kNone) return;
  checksum_ = services_->config().checksum || (offer.flags & MpCapable::kFlagChecksum) != 0;
  if (cookie == nullptr) return MakeSecrets();
  // PROTOCOL.md 7: these were promised, or nothing.
  local_key_ = cookie->key;
  local_token_ = offer_ == Offer::kTls ? cookie->token : TokenOfKey(local_key_);
  token_claimed_ = services_->ClaimToken(local_token_, this);
  if (!token_claimed_) offer_ = Offer::kNone;
}

MpCapable ConnectionImpl::SynAckOption(Offer answer, bool checksum, const PathPolicy& paths,
                                       uint64_t sender) {
  MpCapable capable;
  capable.form = MpCapable::Form::kSynAck;
  if (answer == Offer::kTls) capable.flags |= MpCapable::kFlagTlsAuth;
  if (checksum) capable.flags |= MpCapable::kFlagChecksum;
  if (!paths.accept_joins) capable.flags |= MpCapable::kFlagNoJoinHere;
  capable.sender = sender;
  return capable;
}

std::optional<MpCapable> ConnectionImpl::AnswerWithoutState(const MpCapable& offer,
                                                            const ListenOptions& options,
                                                            const HostConfig& config,
                                                            const SynCookie& cookie) {
  const Offer answer = AnswerTo(offer, options);
  if (answer == Offer::kNone) return std::nullopt;
  const bool checksum = config.checksum || (offer.flags & MpCapable::kFlagChecksum) != 0;
  return SynAckOption(answer, checksum, config.paths,
                      answer == Offer::kTls ? cookie.token : cookie.key.value());
}

uint32_t ConnectionImpl::TokenOf(const MpCapable& answer) {
  return answer.tls_auth() ? static_cast<uint32_t>(answer.sender) : TokenOfKey(Key(answer.sender));
}

// B's side: what ends SYN_RECEIVED (PROTOCOL.md 2).
Verdict ConnectionImpl::TakeThirdAck(Time, const Segment& segment) {
  if (offer_ == Offer::kNone) {
    BecomeTcp();
    return Verdict::kAccept;
  }
  const auto& third = segment.options.mptcp.capable;
  const bool tls = offer_ == Offer::kTls;
  const uint64_t own = tls ? local_token_ : local_key_.value();
  const bool valid = third && third->form != MpCapable::Form::kSyn &&
                     third->form != MpCapable::Form::kSynAck && third->version == 1 &&
                     third->ValidFlags() && third->tls_auth() == tls && third->receiver == own;
  if (valid) {
    BecomeMptcp(tls ? Mode::kTlsAuth : Mode::kKeys, *third);
    return Verdict::kAccept;
  }
  if (!third && segment.options.mptcp.dss && !segment.payload.empty()) return Verdict::kDrop;
  BecomeTcp();
  return Verdict::kAccept;
}

Verdict ConnectionImpl::OnHandshake(Subflow& subflow, Time now, const Segment& segment) {
  Path* path = Of(subflow);
  if (path->joined) {
    return path->initiator ? TakeJoinSynAck(path, segment) : TakeJoinThirdAck(path, segment);
  }
  if (subflow.state() == TcpState::kSynSent) return TakeSynAck(now, segment);
  return TakeThirdAck(now, segment);
}

void ConnectionImpl::OnEstablished(Subflow& subflow, Time now) {
  Path* path = Of(subflow);
  if (path->joined) {
    if (path->initiator) {
      // The third ACK leaves now, and again until it is answered.
      path->confirm_pending = true;
      path->next_third_ack = now + std::chrono::milliseconds(500);
      ArmPathTimer(now);
      return;
    }
    path->usable = path->authenticated = joined_ever_ = true;
    no_path_since_ = kNever;
    ++services_->counters()->joins_accepted;
    if (path->under_next) TakeOverKeys();
    subflow.SendAck(now);
    return Push(now);
  }
  path->usable = true;
  no_path_since_ = kNever;
  connected_ = true;
  connected_at_ = now;
  if (initiator_) {
    if (observer_ != nullptr && !orphaned_) observer_->OnConnected(*this, now);
  } else {
    if (!services_->Established(this, now)) return Abort(now);
    // The peer waits for a DSS before it joins or takes MP_CAPABLE off its segments.
    if (mptcp()) subflow.SendAck(now);
  }
  if (!closed_) Push(now);
}

// RFC 8684 3.7: before the peer has shown that it understood, payload without a mapping or an
// acknowledgement of ours without a Data ACK mean that the options do not get through.
bool ConnectionImpl::MustFallBack(const Path& path, const Segment& segment) const {
  if (dss_seen_ || joined_ever_ || path.joined || segment.rst) return false;
  const MptcpOptions& o = segment.options.mptcp;
  if (o.dss || o.capable) return false;
  if (!segment.payload.empty() || segment.fin) return true;
  return path.subflow->next_ssn() > 1 && next_ > 0 && !o.add_addr;
}

void ConnectionImpl::FallBack(Time now) {
  if (!mptcp()) return;
  // What waits for the rest of its mapping is acknowledged: nobody sends it again.
  for (const auto& path : paths_) {
    ReceivedMapping* const mapping = path->mappings.Held();
    if (mapping == nullptr) continue;
    ReceiveAt(now, path.get(), ReceiveOffset(mapping->dsn), std::exchange(mapping->held, {}));
    if (closed_) return;
  }
  mode_ = Mode::kTcp;
  fallback_ = true;
  for (const auto& path : paths_) path->subflow->SetWindowsAtDataLevel(false);
  infinite_left_ = kInfiniteRepeats;
  ++services_->counters()->fallbacks;
  if (token_claimed_) services_->ReleaseToken(local_token_);
  token_claimed_ = false;
  reinject_.clear();
  data_timer_.Cancel();
  stall_timer_.Cancel();
  carriers_ = {};
  fin_timer_.Cancel();
  fin_due_ = false;
  confirmation_ = next_confirmation_ = KeyConfirmation();
  next_keys_.reset();
  DropParked(now, true);
  held_.clear();
  announcements_.clear();
  // Everything that this one subflow acknowledged is acknowledged; what was sent is on it in order.
  tcp_received_ = reassembly_.next();
  if (fin_sent_ && !fin_acked_) fin_sent_ = false;  // the FIN says it now
  // A join that is under way has nothing to join any more: data on it would be no part of the
  // stream.
  for (size_t i = 0; i < paths_.size() && !closed_; ++i) {
    if (!paths_[i]->dead && paths_[i]->joined) ResetPath(now, paths_[i].get(), TcpRst::kProhibited);
  }
}

}  // namespace mptcptls
