// What an observer of a connection's first path knows of it: all that a passive attacker can use.
#ifndef MPTCPTLS_TESTS_NETNS_OBSERVATION_H_
#define MPTCPTLS_TESTS_NETNS_OBSERVATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/trace.h"

namespace mptcptls::lab {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b);
Bytes First(const Bytes& bytes, size_t size);
Bytes Last(const Bytes& bytes, size_t size);
Bytes RandomBytes(size_t size);

// The MP_JOIN and ADD_ADDR key material, 8 bytes each (RFC 8684 3.1).
struct PairOfKeys {
  Bytes a, b;
};

// HMAC-SHA256 and SHA-256 by OpenSSL: nothing of the product is asked to attack itself.
Bytes HmacSha256(const Bytes& key, const Bytes& message);
Bytes Sha256(const Bytes& message);

struct Observation {
  std::string mode;  // as ModeOf() names it
  uint16_t client_port = 0;
  // What the third ACK carried for each end: a key of 8 bytes, or in TLS-auth mode a token of 4.
  Bytes shown_a, shown_b;
  Bytes client_random;            // of the ClientHello
  std::optional<Bytes> add_addr;  // the server's option, after kind and length
  // The numbers of the next byte of each direction, and how much of the server's the client has.
  uint32_t client_next = 0, server_next = 0, server_acked = 0;

  // The keys themselves in RFC 8684 mode; else the best guess from what was shown: the tokens.
  PairOfKeys Keys() const;
  // What a join to the server has to name (RFC 8684 3.2).
  Bytes ServerToken() const;
};

// From the packets of one connection's first path. Parts that did not come yet are empty.
Observation Observe(const std::vector<TracedPacket>& packets);

// A join that succeeded, as seen on the path that it opened.
struct ObservedJoin {
  Bytes token, client_nonce;  // of the SYN
  Bytes hmac;                 // of the third ACK
};
std::optional<ObservedJoin> ObserveJoin(const std::vector<TracedPacket>& packets);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_OBSERVATION_H_
