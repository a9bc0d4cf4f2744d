#include "stack/isn.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "stack/wire/bytes.h"

namespace mptcptls {

IsnGenerator::~IsnGenerator() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

uint32_t IsnGenerator::Hash(uint8_t purpose, const FourTuple& tuple) const {
  // The secret first and a fixed length throughout: no room for extension or ambiguity.
  std::array<uint8_t, 32 + 1 + 2 * 19> input{};
  auto out = std::copy(secret_.begin(), secret_.end(), input.begin());
  *out++ = purpose;
  for (const Endpoint& end : {tuple.local, tuple.remote}) {
    *out++ = static_cast<uint8_t>(end.address.family);
    out = std::copy(end.address.bytes.begin(), end.address.bytes.end(), out);
    *out++ = static_cast<uint8_t>(end.port >> 8);
    *out++ = static_cast<uint8_t>(end.port);
  }
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(input.data(), input.size(), digest.data());
  return LoadBig<uint32_t>(digest.data());
}

Seq IsnGenerator::Isn(Time now, const FourTuple& tuple) const {
  // RFC 6528 3: M ticks every 4 microseconds.
  const auto clock = now.time_since_epoch() / std::chrono::microseconds(4);
  return Seq{Hash(1, tuple) + static_cast<uint32_t>(clock)};
}

uint32_t IsnGenerator::TimestampOffset(const FourTuple& tuple) const { return Hash(2, tuple); }

uint32_t IsnGenerator::PortGroup(const FourTuple& tuple) const { return Hash(3, tuple); }

}  // namespace mptcptls
