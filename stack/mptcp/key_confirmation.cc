#include "stack/mptcp/key_confirmation.h"

namespace mptcptls {
namespace {

constexpr int kMost = 5;                                 // times it is said
constexpr Duration kFirst = std::chrono::seconds(1);     // until it is said again; doubles
constexpr Duration kPatience = std::chrono::seconds(3);  // as long as joins are parked
constexpr Duration kNotNow = std::chrono::milliseconds(200);

}  // namespace

void KeyConfirmation::Begin(Time now, bool expected) {
  next_ = now;
  if (expected) patience_ = now + kPatience;
}

void KeyConfirmation::OnSaid(Time now) {
  ++said_;
  const bool enough = said_ >= kMost || peer_ == PeerKey::kHolds;
  next_ = enough ? kNever : now + kFirst * (int64_t{1} << (said_ - 1));
}

void KeyConfirmation::OnNoRoom(Time now) { next_ = now + kNotNow; }

void KeyConfirmation::OnHeard(Time now, bool right) {
  if (!right) {
    if (peer_ == PeerKey::kUnknown) peer_ = PeerKey::kDiffers;
    return;
  }
  // Said again: ours has not arrived.
  const bool again = peer_ == PeerKey::kHolds;
  peer_ = PeerKey::kHolds;
  if (said_ > 0) next_ = again && said_ < 2 * kMost ? now : kNever;
}

}  // namespace mptcptls
