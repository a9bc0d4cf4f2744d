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
    confirmation_.early = option;
    return;
  }
  const auto expected = NewKeyTag(keys_, !initiator_, remote_token_, local_token_);
  const bool right = !option.second && ConstantTimeEqual(expected, option.tag);
  ++(right ? services_->counters()->new_key_received : services_->counters()->new_key_refused);
  confirmation_.OnHeard(now, right);
  if (!right) return;
  if (initiator_) services_->cache()->NoteConfirms(first_.local.address, first_.remote);
  SendControl(now);
  ManagePaths(now);
}

// Only beside the Data ACK: a peer that never saw one would fall back (RFC 8684 3.7).
bool ConnectionImpl::FillNewKey(const SegmentPlan& plan, MptcpOptions* out) {
  out->new_key = NewKey{false, NewKeyTag(keys_, initiator_, local_token_, remote_token_)};
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
