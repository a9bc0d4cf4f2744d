#include "stack/mptcp/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

namespace mptcptls {
namespace {

// A message of a few fields, put together on the stack.
class Message {
 public:
  template <typename T>
  Message& Put(T value) {
    StoreBig(bytes_.data() + size_, value);
    size_ += sizeof(T);
    return *this;
  }
  Message& Put(ByteSpan bytes) {
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(size_));
    size_ += bytes.size();
    return *this;
  }
  Message& Put(std::string_view text) {
    return Put(ByteSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  ByteSpan span() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, 48> bytes_{};
  size_t size_ = 0;
};

// HMAC-SHA256 under the keys of both hosts, the sender's first.
Mac Hmac(const ConnectionKeys& keys, bool sender_is_initiator, ByteSpan message) {
  std::array<uint8_t, 16> key;
  const ByteSpan first = keys.of(sender_is_initiator).span(),
                 second = keys.of(!sender_is_initiator).span();
  std::copy(first.begin(), first.end(), key.begin());
  std::copy(second.begin(), second.end(), key.begin() + 8);
  Mac mac{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), key.size(), message.data(), message.size(), mac.data(), &length);
  OPENSSL_cleanse(key.data(), key.size());
  return mac;
}

std::array<uint8_t, 8> Rightmost64(const Mac& mac) {
  std::array<uint8_t, 8> out;
  std::copy(mac.end() - 8, mac.end(), out.begin());
  return out;
}

std::array<uint8_t, 8> TokenTag(const ConnectionKeys& keys, bool sender_is_initiator,
                                std::string_view label, uint32_t sender_token,
                                uint32_t receiver_token) {
  Message m;
  m.Put(label).Put(sender_token).Put(receiver_token);
  return Rightmost64(Hmac(keys, sender_is_initiator, m.span()));
}

Mac Sha256(ByteSpan bytes) {
  Mac digest;
  SHA256(bytes.data(), bytes.size(), digest.data());
  return digest;
}

// First 16 bits of AES-128(K, "MPTCPTOK" || i || five zero bytes || R) (PROTOCOL.md 6).
uint16_t Round(EVP_CIPHER_CTX* context, uint8_t i, uint16_t right) {
  std::array<uint8_t, 16> block = {'M', 'P', 'T', 'C', 'P', 'T', 'O', 'K', i};
  StoreBig(block.data() + 14, right);
  std::array<uint8_t, 32> out;
  int length = 0;
  EVP_EncryptUpdate(context, out.data(), &length, block.data(), static_cast<int>(block.size()));
  return LoadBig<uint16_t>(out.data());
}

struct CipherDeleter {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};

std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter> Aes(ByteSpan key) {
  std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter> context(EVP_CIPHER_CTX_new());
  EVP_EncryptInit_ex(context.get(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr);
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  return context;
}

}  // namespace

Key::Key(ByteSpan eight_bytes) { std::copy_n(eight_bytes.begin(), 8, bytes_.begin()); }
Key::Key(uint64_t value) { StoreBig(bytes_.data(), value); }
Key::~Key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
uint64_t Key::value() const { return LoadBig<uint64_t>(bytes_.data()); }

ConnectionKeys ConnectionKeys::FromExporter(ByteSpan ekm) {
  return {Key(ekm.first(8)), Key(ekm.subspan(8, 8))};
}

bool ConstantTimeEqual(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Mac JoinHmac(const ConnectionKeys& keys, bool initiator, uint32_t nonce_a, uint32_t nonce_b) {
  Message m;
  m.Put(initiator ? nonce_a : nonce_b).Put(initiator ? nonce_b : nonce_a);
  return Hmac(keys, initiator, m.span());
}

std::array<uint8_t, 8> AddAddrHmac(const ConnectionKeys& keys, bool sender_is_initiator,
                                   uint8_t address_id, const IpAddress& address, uint16_t port) {
  Message m;
  m.Put(address_id).Put(address.span()).Put(port);
  return Rightmost64(Hmac(keys, sender_is_initiator, m.span()));
}

std::array<uint8_t, 8> FastCloseTag(const ConnectionKeys& keys, bool sender_is_initiator,
                                    uint32_t sender_token, uint32_t receiver_token) {
  return TokenTag(keys, sender_is_initiator, "MP_FASTCLOSE", sender_token, receiver_token);
}

std::array<uint8_t, 8> NewKeyTag(const ConnectionKeys& keys, bool sender_is_initiator,
                                 uint32_t sender_token, uint32_t receiver_token) {
  return TokenTag(keys, sender_is_initiator, "MP_NEW_KEY", sender_token, receiver_token);
}

uint32_t TokenOfKey(const Key& key) { return LoadBig<uint32_t>(Sha256(key.span()).data()); }
uint64_t IdsnOfKey(const Key& key) { return LoadBig<uint64_t>(Sha256(key.span()).data() + 24); }

uint64_t IdsnOfTokens(uint32_t own, uint32_t other) {
  Message m;
  m.Put(own).Put(other);
  return LoadBig<uint64_t>(Sha256(m.span()).data() + 24);
}

uint32_t EncryptToken(ByteSpan aes_key, uint32_t plain) {
  const auto aes = Aes(aes_key);
  auto left = static_cast<uint16_t>(plain >> 16), right = static_cast<uint16_t>(plain);
  for (uint8_t i = 1; i <= 4; ++i) {
    const auto next = static_cast<uint16_t>(left ^ Round(aes.get(), i, right));
    left = right;
    right = next;
  }
  return static_cast<uint32_t>(left) << 16 | right;
}

uint32_t DecryptToken(ByteSpan aes_key, uint32_t token) {
  const auto aes = Aes(aes_key);
  auto left = static_cast<uint16_t>(token >> 16), right = static_cast<uint16_t>(token);
  for (uint8_t i = 4; i >= 1; --i) {
    const auto previous = static_cast<uint16_t>(right ^ Round(aes.get(), i, left));
    right = left;
    left = previous;
  }
  return static_cast<uint32_t>(left) << 16 | right;
}

uint16_t DssChecksum(uint64_t dsn, uint32_t ssn, uint16_t length, ByteSpan first, ByteSpan second) {
  Message pseudo;
  pseudo.Put(dsn).Put(ssn).Put(length).Put(uint16_t{0});
  ChecksumSum sum;
  sum.Add(pseudo.span());
  sum.Add(first);
  sum.Add(second);
  return sum.Complement();
}

}  // namespace mptcptls
