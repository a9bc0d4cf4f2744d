// NEW_KEY (PROTOCOL.md 8): saying that we hold the key, and taking that the peer does.
#include "stack/mptcp/capability_cache.h"
#include "stack/mptcp/connection_impl.h"

namespace mptcptls {

// Our key is there.
void ConnectionImpl::BeginConfirmation(Time now) {
  const bool expected =
      initiator_ && services_->cache()->Confirms(now, first_.local.address, first_.remote);
  confirmation_.Begin(now, expected);
  if (confirmation_.early) TakeNewKey(now, *confirmation_.early);
  SendControl(now);
}

void ConnectionImpl::TakeNewKey(Time now, const NewKey& option) {
  if (mode_ != Mode::kTlsAuth || key_ == KeyState::kRefused) return;
  if (key_ == KeyState::kNone) {
    if (!option.second) confirmation_.early = option;
    return;
  }
  if (option.second) return TakeSecondNewKey(now, option);
  if (keys_replaced_ > 0) return;  // late: of a key that is gone
  const auto expected = NewKeyTag(keys_, !initiator_, remote_token_, local_token_);
  const bool right = ConstantTimeEqual(expected, option.tag);
  ++(right ? services_->counters()->new_key_received : services_->counters()->new_key_refused);
  confirmation_.OnHeard(now, right);
  if (!right) return;
  if (initiator_) services_->cache()->NoteConfirms(first_.local.address, first_.remote);
  SendControl(now);
  ManagePaths(now);
}

// ---- Keys that follow the first ones (K = 1)

void ConnectionImpl::ReplaceKeys(Time now, const ConnectionKeys& keys) {
  if (closed_ || mode_ != Mode::kTlsAuth || key_ != KeyState::kPresent ||
      confirmation_.peer() != PeerKey::kHolds) {
    return;
  }
  if (NextIsConfirmed()) TakeOverKeys();
  if (ConstantTimeEqual(keys.a.span(), keys_.a.span())) return;  // no other handshake
  next_keys_ = keys;
  const auto early = next_confirmation_.early;
  next_confirmation_ = KeyConfirmation();
  next_confirmation_.Begin(now, false);
  if (early) TakeSecondNewKey(now, *early);
  SendControl(now);
}

void ConnectionImpl::TakeSecondNewKey(Time now, const NewKey& option) {
  const bool any = next_keys_ || keys_replaced_ > 0;
  const auto expected = NewKeyTag(SecondKeys(), !initiator_, remote_token_, local_token_);
  const bool right = any && ConstantTimeEqual(expected, option.tag);
  // The peer's handshake may be done before ours.
  if (!right) next_confirmation_.early = option;
  if (!any) return;
  ++(right ? services_->counters()->new_key_received : services_->counters()->new_key_refused);
  next_confirmation_.OnHeard(now, right);
  if (right) SendControl(now);
}

bool ConnectionImpl::NextIsConfirmed() const {
  return next_keys_ && next_confirmation_.peer() == PeerKey::kHolds;
}

// What the peer is known to hold, the newest.
const ConnectionKeys& ConnectionImpl::SendingKeys() const {
  return NextIsConfirmed() ? *next_keys_ : keys_;
}

const ConnectionKeys& ConnectionImpl::SecondKeys() const {
  return next_keys_ ? *next_keys_ : keys_;
}

const ConnectionKeys& ConnectionImpl::KeysOf(const Path& path) const {
  return path.under_next && next_keys_ ? *next_keys_ : keys_;
}

// The keys of before are accepted until the first join under the new ones, and are wiped here.
void ConnectionImpl::TakeOverKeys() {
  keys_ = *next_keys_;
  next_keys_.reset();
  confirmation_.End();
  ++keys_replaced_;
  for (const auto& path : paths_) path->under_next = false;
}

KeyConfirmation* ConnectionImpl::DueConfirmation(Time now) {
  if (confirmation_.due(now)) return &confirmation_;
  return next_confirmation_.due(now) ? &next_confirmation_ : nullptr;
}

// Only beside the Data ACK: a peer that never saw one would fall back (RFC 8684 3.7).
bool ConnectionImpl::FillNewKey(const SegmentPlan& plan, MptcpOptions* out) {
  const bool second = saying_ == &next_confirmation_;
  out->new_key = NewKey{
      second, NewKeyTag(second ? SecondKeys() : keys_, initiator_, local_token_, remote_token_)};
  if (EncodedSize(*out) <= plan.room) return true;
  out->new_key.reset();
  return false;
}

// A peer that says NEW_KEY will say it; a join before that would have to be parked. Where the keys
// differ none can succeed.
bool ConnectionImpl::AwaitsPeersKey(Time now) const {
  return mode_ == Mode::kTlsAuth && initiator_ &&
         (confirmation_.peer() == PeerKey::kDiffers || confirmation_.patience() > now);
}

}  // namespace mptcptls
