#include "engine/tls_exporter.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace mptcptls {
namespace {

constexpr std::string_view kLabel = "EXPORTER-MPTCP";
constexpr size_t kMaxHash = 48;

// Secrets; wiped when they go.
class Bytes {
 public:
  Bytes() = default;
  ~Bytes() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  void Append(ByteSpan more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  void Append(std::string_view more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  void Append(size_t byte) { bytes_.push_back(static_cast<uint8_t>(byte)); }
  ByteSpan span() const { return bytes_; }

 private:
  // Never grown beyond: a vector that moves leaves bytes behind.
  static constexpr size_t kRoom = 512;
  std::vector<uint8_t> bytes_ = [] {
    std::vector<uint8_t> empty;
    empty.reserve(kRoom);
    return empty;
  }();
};

class Digest {
 public:
  explicit Digest(const EVP_MD* hash) : size_(static_cast<size_t>(EVP_MD_get_size(hash))) {}
  ~Digest() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  uint8_t* data() { return bytes_.data(); }
  ByteSpan span() const { return ByteSpan(bytes_).first(size_); }
  ExporterKey Key() const {
    ExporterKey key;
    std::copy_n(bytes_.begin(), key.size(), key.begin());
    return key;
  }

 private:
  std::array<uint8_t, EVP_MAX_MD_SIZE> bytes_{};
  size_t size_;
};

void Hmac(const EVP_MD* hash, ByteSpan key, ByteSpan message, Digest* out) {
  HMAC(hash, key.data(), static_cast<int>(key.size()), message.data(), message.size(), out->data(),
       nullptr);
}

// RFC 8446 7.1 with the hash of nothing as context; `length` is at most a hash's, so that HKDF's
// first block is enough (RFC 5869 2.3).
void ExpandLabel(const EVP_MD* hash, ByteSpan secret, std::string_view label, size_t length,
                 Digest* out) {
  Digest nothing(hash);
  EVP_Digest("", 0, nothing.data(), nullptr, hash, nullptr);
  Bytes info;
  info.Append(length >> 8);
  info.Append(length & 0xff);
  constexpr std::string_view kPrefix = "tls13 ";
  info.Append(kPrefix.size() + label.size());
  info.Append(kPrefix);
  info.Append(label);
  info.Append(nothing.span().size());
  info.Append(nothing.span());
  info.Append(1);  // the number of the block
  Hmac(hash, secret, info.span(), out);
}

}  // namespace

std::optional<PrfHash> PrfHashOf(uint16_t cipher_suite) {
  // Families have their suites in pairs, the one with the longer key under SHA-384.
  enum class Rule : uint8_t { kSha256, kSha384, kOddSha384, kEvenSha384 };
  struct Range {
    uint16_t first, last;
    Rule rule;
  };
  static constexpr Range kRanges[] = {
      {0x0001, 0x009b, Rule::kSha256},      // older than TLS 1.2, and RFC 5246 itself
      {0x009c, 0x00b9, Rule::kOddSha384},   // RFC 5288, RFC 5487
      {0x00ba, 0x00c5, Rule::kSha256},      // RFC 5932
      {0xc001, 0xc022, Rule::kSha256},      // RFC 8422, RFC 5054
      {0xc023, 0xc032, Rule::kEvenSha384},  // RFC 5289
      {0xc033, 0xc037, Rule::kSha256},      // RFC 5489, to its end
      {0xc038, 0xc038, Rule::kSha384},
      {0xc039, 0xc03a, Rule::kSha256},
      {0xc03b, 0xc03b, Rule::kSha384},
      {0xc03c, 0xc09b, Rule::kOddSha384},  // RFC 6209, RFC 6367
      {0xc09c, 0xc0af, Rule::kSha256},     // RFC 6655, RFC 7251
      {0xcca8, 0xccae, Rule::kSha256},     // RFC 7905
  };
  for (const Range& range : kRanges) {
    if (cipher_suite < range.first || cipher_suite > range.last) continue;
    const bool odd = (cipher_suite & 1) != 0;
    const bool longer = range.rule == Rule::kSha384 || (range.rule == Rule::kOddSha384 && odd) ||
                        (range.rule == Rule::kEvenSha384 && !odd);
    return longer ? PrfHash::kSha384 : PrfHash::kSha256;
  }
  return std::nullopt;
}

std::optional<ExporterKey> ExportTls13(ByteSpan exporter_secret) {
  if (exporter_secret.size() != 32 && exporter_secret.size() != kMaxHash) return std::nullopt;
  const EVP_MD* const hash = exporter_secret.size() == 32 ? EVP_sha256() : EVP_sha384();
  Digest derived(hash), key(hash);
  ExpandLabel(hash, exporter_secret, kLabel, exporter_secret.size(), &derived);
  ExpandLabel(hash, derived.span(), "exporter", kExporterKeySize, &key);
  return key.Key();
}

std::optional<ExporterKey> ExportTls12(ByteSpan master_secret, const TlsRandom& client_random,
                                       const TlsRandom& server_random, PrfHash prf_hash) {
  if (master_secret.size() != 48) return std::nullopt;
  const EVP_MD* const hash = prf_hash == PrfHash::kSha256 ? EVP_sha256() : EVP_sha384();
  Bytes seed;
  seed.Append(kLabel);
  seed.Append(ByteSpan(client_random));
  seed.Append(ByteSpan(server_random));
  // RFC 5246 5: the first block of P_hash is enough.
  Digest a(hash), block(hash);
  Hmac(hash, master_secret, seed.span(), &a);
  Bytes message;
  message.Append(a.span());
  message.Append(seed.span());
  Hmac(hash, master_secret, message.span(), &block);
  return block.Key();
}

}  // namespace mptcptls
