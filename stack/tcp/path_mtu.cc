#include "stack/tcp/path_mtu.h"

#include <algorithm>
#include <array>

namespace mptcptls {
namespace {

constexpr uint32_t kMostOptions = 40;  // of a TCP header

// RFC 1191 7: the MTUs there are, for routers that do not say theirs.
uint32_t PlateauBelow(uint32_t packet) {
  static constexpr std::array<uint32_t, 9> kPlateaus = {32000, 17914, 8166, 4352, 2002,
                                                        1492,  1006,  508,  296};
  const auto* below = std::ranges::find_if(kPlateaus, [=](uint32_t p) { return p < packet; });
  return below == kPlateaus.end() ? 68 : *below;
}

}  // namespace

void PathMtu::Forget(uint32_t limit) {
  limit_ = mtu_ = ceiling_ = limit;
  raise_at_ = kNever;
  suspected_ = false;
  at_ceiling_ = true;
  silences_ = tries_ = 0;
}

void PathMtu::Begin(const KnownMtu& known) {
  mtu_ = std::clamp(known.mtu, std::min(floor(), limit_), limit_);
  ceiling_ = std::clamp(known.ceiling, mtu_, limit_);
  raise_at_ = known.expires;
  at_ceiling_ = false;
}

void PathMtu::SetLimit(uint32_t limit) {
  if (mtu_ >= limit_ || mtu_ >= limit) return Forget(limit);
  limit_ = limit;
  ceiling_ = std::min(ceiling_, limit);
}

KnownMtu PathMtu::known(Time now) const {
  if (mtu_ >= limit_ || suspected_) return {};
  return {mtu_, ceiling_, raise_at_ == kNever ? now + kLifetime : raise_at_};
}

bool PathMtu::OnTooBig(uint32_t reported, uint32_t packet, Time now) {
  if (family_ == Family::kV6) {
    // RFC 8201 4: such a message is discarded.
    if (reported < kFloorV6) return false;
  } else {
    if (reported == 0) reported = PlateauBelow(packet);
    reported = std::max(reported, kFloorV4);
  }
  // RFC 5927 7.2: a router has no reason to complain of what it could have forwarded.
  if (reported >= packet) return false;
  if (reported > mtu_) {  // of a probe: the search knows where to look
    if (reported < ceiling_) {
      ceiling_ = reported;
      at_ceiling_ = true;
      tries_ = 0;
    }
    return false;
  }
  const bool smaller = reported < mtu_;
  mtu_ = ceiling_ = reported;
  raise_at_ = now + kLifetime;
  suspected_ = false;
  at_ceiling_ = true;
  silences_ = tries_ = 0;
  return smaller;
}

// RFC 4821 7.7, RFC 8899 4.3: packets of this size may all be swallowed. If it is the path that is
// dead, nothing is lost by smaller ones.
bool PathMtu::OnTimeout(uint32_t packet) {
  const uint32_t target = packet > base() ? base() : floor();
  if (packet <= target || mtu_ <= target || ++silences_ < kSilences) return false;
  if (!suspected_) ceiling_ = mtu_;
  mtu_ = target;
  raise_at_ = kNever;
  suspected_ = at_ceiling_ = true;
  silences_ = tries_ = 0;
  return true;
}

bool PathMtu::OnDelivered(uint32_t packet, Time now) {
  // A full one, with however few options.
  if (packet > floor() && packet + kMostOptions >= mtu_) silences_ = 0;
  if (!suspected_) return false;
  suspected_ = false;
  // It was sent before the guess, and proves it wrong.
  if (packet > mtu_) OnProbeDelivered(std::min(packet, limit_), now);
  return true;
}

uint32_t PathMtu::NextProbe(Time now) {
  if (suspected_ || probing_ || mtu_ >= limit_) return 0;
  if (now >= raise_at_) {
    ceiling_ = limit_;
    at_ceiling_ = true;
    tries_ = 0;
    raise_at_ = kNever;
  }
  if (at_ceiling_ && ceiling_ > mtu_) return ceiling_;
  return search_over() ? 0 : mtu_ + (ceiling_ - mtu_ + 1) / 2;
}

void PathMtu::OnProbeDelivered(uint32_t packet, Time now) {
  probing_ = false;
  if (packet <= mtu_) return;
  mtu_ = std::min(packet, limit_);
  ceiling_ = std::max(ceiling_, mtu_);
  tries_ = silences_ = 0;
  if (mtu_ >= limit_) return Forget(limit_);
  if (search_over()) raise_at_ = now + kLifetime;
}

void PathMtu::OnProbeLost(uint32_t packet, Time now) {
  probing_ = false;
  if (packet <= mtu_ || packet > ceiling_ || ++tries_ < kMaxProbes) return;
  ceiling_ = packet - 1;
  at_ceiling_ = false;
  tries_ = 0;
  if (search_over()) raise_at_ = now + kLifetime;
}

}  // namespace mptcptls
