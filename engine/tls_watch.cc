#include "engine/tls_watch.h"

#include <string.h>

#include <algorithm>

namespace mptcptls {
namespace {

constexpr uint8_t kTurnsOfTls13Client = 2;
constexpr uint8_t kTurns = 3;
constexpr uint16_t kTls12 = 0x0303;
constexpr uint16_t kTls13 = 0x0304;

}  // namespace

bool LoggedSecret::Take(const control::SecretMessage& message) {
  const bool master = message.kind == control::SecretKind::kMaster;
  if (!master && message.kind != control::SecretKind::kExporter) return false;
  if (message.size != 48 && (master || message.size != 32)) return false;
  kind_ = message.kind;
  size_ = message.size;
  memcpy(bytes_.data(), message.secret, size_);
  return true;
}

void LoggedSecret::Wipe() {
  explicit_bzero(bytes_.data(), bytes_.size());
  size_ = 0;
}

std::optional<ClientRandom> TlsWatch::Feed(From from, ByteSpan bytes) {
  if (bytes.empty()) return std::nullopt;
  if (begun_) {
    if (from != last_) turns_ = std::min<uint8_t>(turns_ + 1, kTurns);
    last_ = from;
    if (from != client_) Of(from).server_hello.Feed(bytes);
  }
  ClientRandomFinder& finder = Of(from).client_hello;
  if (finder.done()) return std::nullopt;
  const auto random = finder.Feed(bytes);
  // A stream that echoes carries it both ways.
  if (random && !begun_) {
    begun_ = true;
    client_ = last_ = from;
    random_ = *random;
  }
  return random;
}

bool TlsWatch::TakeSecret(const control::SecretMessage& message) {
  if (!secret_.empty() || taken_) return true;
  return secret_.Take(message);
}

bool TlsWatch::ripe() const {
  if (taken_ || secret_.empty() || !begun_) return false;
  const bool quick = secret_.kind() == control::SecretKind::kExporter && client_ == From::kProgram;
  return turns_ >= (quick ? kTurnsOfTls13Client : kTurns);
}

TlsWatch::Outcome TlsWatch::TakeKey() {
  Outcome outcome = Derive();
  taken_ = true;
  secret_.Wipe();
  return outcome;
}

TlsWatch::Outcome TlsWatch::Derive() const {
  const Outcome none{.key = std::nullopt, .why_not = control::NoKey::kExporterFailed};
  const auto& hello = server().hello();
  if (secret_.kind() == control::SecretKind::kExporter) {
    // A HelloRetryRequest says the version as well.
    if (hello && hello->version != kTls13) return none;
    const auto key = ExportTls13(secret_.span());
    return key ? Outcome{.key = key} : none;
  }
  if (!hello) return none;
  if (hello->version < kTls12) return {.key = {}, .why_not = control::NoKey::kTlsTooOld};
  if (hello->version != kTls12) return none;
  // RFC 7627 5.4
  if (!hello->extended_master_secret)
    return {.key = {}, .why_not = control::NoKey::kNoExtendedMasterSecret};
  const auto hash = PrfHashOf(hello->cipher_suite);
  if (!hash) return none;
  const auto key = ExportTls12(secret_.span(), random_, hello->random, *hash);
  return key ? Outcome{.key = key} : none;
}

}  // namespace mptcptls
