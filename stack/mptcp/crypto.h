// Keys, HMACs, tokens and checksums of MPTCP (RFC 8684 3.1-3.5, PROTOCOL.md 2-6). All HMACs are
// HMAC-SHA256; all comparisons of secrets run in constant time.
#ifndef MPTCPTLS_STACK_MPTCP_CRYPTO_H_
#define MPTCPTLS_STACK_MPTCP_CRYPTO_H_

#include <array>
#include <cstdint>
#include <optional>

#include "stack/types.h"

namespace mptcptls {

using Mac = std::array<uint8_t, 32>;

// A 64-bit key. Wiped when it goes; it has no text form on purpose.
class Key {
 public:
  Key() = default;
  explicit Key(ByteSpan eight_bytes);
  explicit Key(uint64_t value);  // most significant byte first
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();
  ByteSpan span() const { return bytes_; }
  uint64_t value() const;

 private:
  std::array<uint8_t, 8> bytes_{};
};

// A is the initiator of the TCP connection (PROTOCOL.md, head).
struct ConnectionKeys {
  Key a, b;
  // Key-A = ekm[0..8), Key-B = ekm[8..16) (PROTOCOL.md 3).
  static ConnectionKeys FromExporter(ByteSpan ekm);
  const Key& of(bool initiator) const { return initiator ? a : b; }
};

bool ConstantTimeEqual(ByteSpan a, ByteSpan b);

// ---- Joins: HMAC(key = own || other, msg = own random || other random); `initiator` says whose it
// is (A or B).
Mac JoinHmac(const ConnectionKeys& keys, bool initiator, uint32_t nonce_a, uint32_t nonce_b);

// ---- ADD_ADDR: rightmost 64 bits of HMAC(sender || receiver, id || address || port) (port 0 when
// absent).
std::array<uint8_t, 8> AddAddrHmac(const ConnectionKeys& keys, bool sender_is_initiator,
                                   uint8_t address_id, const IpAddress& address, uint16_t port);

// ---- MP_FASTCLOSE in TLS-auth mode (PROTOCOL.md 5); in RFC 8684 mode the option carries the
// receiver's key itself.
std::array<uint8_t, 8> FastCloseTag(const ConnectionKeys& keys, bool sender_is_initiator,
                                    uint32_t sender_token, uint32_t receiver_token);

// ---- NEW_KEY (PROTOCOL.md 8), for K = 0.
std::array<uint8_t, 8> NewKeyTag(const ConnectionKeys& keys, bool sender_is_initiator,
                                 uint32_t sender_token, uint32_t receiver_token);

// ---- Tokens and initial data sequence numbers.
uint32_t TokenOfKey(const Key& key);  // RFC 8684 3.1: most significant 32 bits of SHA-256(key)
uint64_t IdsnOfKey(const Key& key);   // least significant 64 bits
uint64_t IdsnOfTokens(
    uint32_t own, uint32_t other);  // TLS-auth (PROTOCOL.md 2): of the host whose token is `own`

// token_layout = encrypted (PROTOCOL.md 6): a four-round Feistel network over AES-128.
uint32_t EncryptToken(ByteSpan aes_key, uint32_t plain);
uint32_t DecryptToken(ByteSpan aes_key, uint32_t token);

// ---- DSS checksum (RFC 8684 3.3.1): pseudo-header and payload in up to two pieces.
uint16_t DssChecksum(uint64_t dsn, uint32_t ssn, uint16_t length, ByteSpan first,
                     ByteSpan second = {});

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_CRYPTO_H_
