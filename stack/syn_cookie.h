// SYN cookies (RFC 4987 3.6): what a SYN said, kept in the answer instead of in memory. The initial
// sequence number of the SYN/ACK is
//
//     MMMMMMMM MMMMMMMM MMMMMMMM mmmwwwws     M: keyed hash   m: MSS (of a table)
//                                             w: window scale, 15: none   s: SACK permitted
//
// so that nothing depends on timestamps; those are in use when the third ACK has them (their offset
// is a function of the 4-tuple). MP_CAPABLE is kept by its third ACK (PROTOCOL.md 7): our key and
// token come out of the same hash, so that the peer's echo of them proves itself.
//
// The hash covers the ends, the peer's initial sequence number and the low byte, under a secret
// that lives for a minute and is remembered for one more: no cookie is taken after two minutes.
#ifndef MPTCPTLS_STACK_SYN_COOKIE_H_
#define MPTCPTLS_STACK_SYN_COOKIE_H_

#include <array>
#include <cstdint>
#include <optional>

#include "stack/environment.h"
#include "stack/mptcp/crypto.h"
#include "stack/types.h"
#include "stack/wire/segment.h"

namespace mptcptls {

struct SynCookie {
  Seq isn;                 // of the SYN/ACK
  Key key;                 // RFC 8684 mode: Key-B
  uint32_t token = 0;      // TLS-auth mode: 32 random bits for Token-B
  TcpOptions syn_options;  // as the cookie keeps them: MSS, window scale, SACK permitted
};

class SynCookies {
 public:
  static constexpr Duration kSecretLifetime = std::chrono::seconds(60);  // as Linux; ours

  explicit SynCookies(Environment* environment) : environment_(environment) {}
  ~SynCookies();
  SynCookies(const SynCookies&) = delete;
  SynCookies& operator=(const SynCookies&) = delete;

  // The same for each repetition of the SYN within a secret's lifetime.
  SynCookie Make(Time now, const Segment& syn);
  // The cookie that `ack` (the handshake's third segment, or the first data) acknowledges; nullopt:
  // never made here, or too old.
  std::optional<SynCookie> Check(Time now, const Segment& ack);
  // Whether any cookie could still come back. Else no ACK is worth looking at.
  bool Awaited(Time now) const { return now < awaited_until_; }

 private:
  using Secret = std::array<uint8_t, 32>;
  void Rotate(Time now);
  static SynCookie Compute(const Secret& secret, const FourTuple& tuple, Seq peer_isn,
                           uint8_t said);

  Environment* environment_;
  Secret current_{}, previous_{};
  std::optional<int64_t> period_;  // of current_
  bool previous_valid_ = false;
  Time awaited_until_{};
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_SYN_COOKIE_H_
