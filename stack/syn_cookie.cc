#include "stack/syn_cookie.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

// Ours: what networks have (IPv6 minimum, tunnels, PPPoE, Ethernet, jumbo frames). A peer is held
// to the largest one that is not above its own; without the option to RFC 9293 3.7.1's default.
constexpr std::array<uint16_t, 8> kMss = {64, 536, 1220, 1360, 1400, 1440, 1460, 8940};
constexpr uint8_t kNoScale = 15, kMaxScale = 14;  // RFC 7323 2.3

uint8_t MssIndex(uint32_t mss) {
  const auto above = std::ranges::upper_bound(kMss, mss);
  return static_cast<uint8_t>(above == kMss.begin() ? 0 : above - kMss.begin() - 1);
}

uint8_t Pack(const TcpOptions& o, Family family) {
  const uint32_t mss = o.mss.value_or(family == Family::kV4 ? 536 : 1220);
  const uint8_t scale = o.window_scale ? std::min(*o.window_scale, kMaxScale) : kNoScale;
  return static_cast<uint8_t>(MssIndex(mss) << 5 | scale << 1 | (o.sack_permitted ? 1 : 0));
}

TcpOptions Unpack(uint8_t said) {
  TcpOptions o;
  o.mss = kMss[said >> 5];
  const uint8_t scale = said >> 1 & 15;
  if (scale != kNoScale) o.window_scale = scale;
  o.sack_permitted = (said & 1) != 0;
  return o;
}

}  // namespace

SynCookies::~SynCookies() {
  OPENSSL_cleanse(current_.data(), current_.size());
  OPENSSL_cleanse(previous_.data(), previous_.size());
}

// Time decides alone: whoever asks first in a new period makes its secret.
void SynCookies::Rotate(Time now) {
  const int64_t period = now.time_since_epoch() / kSecretLifetime;
  if (period_ == period) return;
  previous_valid_ = period_ == period - 1;
  previous_ = current_;
  environment_->Random(current_);
  period_ = period;
}

SynCookie SynCookies::Compute(const Secret& secret, const FourTuple& tuple, Seq peer_isn,
                              uint8_t said) {
  // The secret first and a fixed length throughout: no room for extension or ambiguity.
  std::array<uint8_t, 32 + 2 * 19 + 4 + 1> input{};
  auto* out = std::copy(secret.begin(), secret.end(), input.begin());
  for (const Endpoint& end : {tuple.local, tuple.remote}) {
    *out++ = static_cast<uint8_t>(end.address.family);
    out = std::copy(end.address.bytes.begin(), end.address.bytes.end(), out);
    *out++ = static_cast<uint8_t>(end.port >> 8);
    *out++ = static_cast<uint8_t>(end.port);
  }
  StoreBig(out, peer_isn.value);
  out[4] = said;
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(input.data(), input.size(), digest.data());
  OPENSSL_cleanse(input.data(), secret.size());
  SynCookie cookie;
  cookie.isn = Seq{(LoadBig<uint32_t>(digest.data()) & 0xffffff00u) | said};
  cookie.key = Key(ByteSpan(digest).subspan(8, 8));
  cookie.token = LoadBig<uint32_t>(digest.data() + 16);
  cookie.syn_options = Unpack(said);
  return cookie;
}

SynCookie SynCookies::Make(Time now, const Segment& syn) {
  Rotate(now);
  awaited_until_ = now + 2 * kSecretLifetime;
  return Compute(current_, syn.tuple, syn.seq, Pack(syn.options, syn.tuple.local.address.family));
}

std::optional<SynCookie> SynCookies::Check(Time now, const Segment& ack) {
  Rotate(now);
  const Seq isn = ack.ack - 1;
  std::array<uint8_t, 4> given, expected;
  StoreBig(given.data(), isn.value);
  for (const bool current : {true, false}) {
    if (!current && !previous_valid_) break;
    SynCookie cookie = Compute(current ? current_ : previous_, ack.tuple, ack.seq - 1,
                               static_cast<uint8_t>(isn.value));
    StoreBig(expected.data(), cookie.isn.value);
    if (ConstantTimeEqual(given, expected)) return cookie;
  }
  return std::nullopt;
}

}  // namespace mptcptls
