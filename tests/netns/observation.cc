#include "tests/netns/observation.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace mptcptls::lab {
namespace {

constexpr size_t kKeySize = 8, kTokenSize = 4;
// RFC 8446: record header 5, handshake header 4, version 2, random 32.
constexpr size_t kRandomAt = 11, kRandomSize = 32;
constexpr uint8_t kHandshakeRecord = 22, kClientHello = 1;

Bytes Part(const Bytes& bytes, size_t at, size_t size) {
  if (bytes.size() < at + size) throw std::runtime_error("an option is shorter than it should be");
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
  return {begin, begin + static_cast<ptrdiff_t>(size)};
}

bool IsClientHello(const Bytes& head) {
  return head.size() >= kRandomAt + kRandomSize && head[0] == kHandshakeRecord &&
         head[5] == kClientHello;
}

// MP_CAPABLE of the third ACK, with or without a data level length: both ends' tokens or keys.
void TakeThirdAck(const MptcpOption& option, Observation* seen) {
  const size_t size = option.length() >= 20 ? kKeySize : kTokenSize;
  if (option.length() < 12) return;
  seen->shown_a = Part(option.bytes, 2, size);
  seen->shown_b = Part(option.bytes, 2 + size, size);
}

}  // namespace

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes First(const Bytes& bytes, size_t size) { return Part(bytes, 0, size); }
Bytes Last(const Bytes& bytes, size_t size) { return Part(bytes, bytes.size() - size, size); }

Bytes RandomBytes(size_t size) {
  Bytes bytes(size);
  if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1) {
    throw std::runtime_error("OpenSSL has no random bytes");
  }
  return bytes;
}

Bytes HmacSha256(const Bytes& key, const Bytes& message) {
  Bytes mac(32);
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
           mac.data(), &size) == nullptr) {
    throw std::runtime_error("OpenSSL makes no HMAC");
  }
  return mac;
}

Bytes Sha256(const Bytes& message) {
  Bytes digest(32);
  unsigned size = 0;
  if (EVP_Digest(message.data(), message.size(), digest.data(), &size, EVP_sha256(), nullptr) !=
      1) {
    throw std::runtime_error("OpenSSL makes no SHA-256");
  }
  return digest;
}

PairOfKeys Observation::Keys() const {
  if (shown_a.size() == kKeySize) return {shown_a, shown_b};
  return {shown_a + shown_b, shown_b + shown_a};
}

Bytes Observation::ServerToken() const {
  return shown_b.size() == kKeySize ? First(Sha256(shown_b), kTokenSize) : shown_b;
}

Observation Observe(const std::vector<TracedPacket>& packets) {
  Observation seen;
  seen.mode = ModeOf(packets);
  for (const TracedPacket& packet : packets) {
    const MptcpOption* const capable = packet.Find(kMpCapable);
    if (packet.syn && !packet.ack && capable != nullptr) seen.client_port = packet.source_port;
    if (seen.client_port == 0) continue;
    if (packet.source_port == seen.client_port) {
      if (!packet.syn && capable != nullptr && seen.shown_a.empty()) TakeThirdAck(*capable, &seen);
      if (IsClientHello(packet.head))
        seen.client_random = Part(packet.head, kRandomAt, kRandomSize);
      seen.client_next = packet.sequence + static_cast<uint32_t>(packet.payload);
      seen.server_acked = packet.acknowledgement;
    } else if (packet.destination_port == seen.client_port) {
      seen.server_next = packet.sequence + static_cast<uint32_t>(packet.payload);
      const MptcpOption* const address = packet.Find(kAddAddr);
      // The lower bit marks an echo of the peer's own (RFC 8684 3.4.1).
      if (address != nullptr && (address->bytes[0] & 1) == 0) seen.add_addr = address->bytes;
    }
  }
  return seen;
}

std::optional<ObservedJoin> ObserveJoin(const std::vector<TracedPacket>& packets) {
  ObservedJoin join;
  for (const TracedPacket& packet : packets) {
    const MptcpOption* const option = packet.Find(kMpJoin);
    if (option == nullptr) continue;
    if (packet.syn && !packet.ack && option->length() == 12) {
      join.token = Part(option->bytes, 2, 4);
      join.client_nonce = Part(option->bytes, 6, 4);
    } else if (!packet.syn && option->length() == 24 && !join.token.empty()) {
      join.hmac = Part(option->bytes, 2, 20);
      return join;
    }
  }
  return std::nullopt;
}

}  // namespace mptcptls::lab
