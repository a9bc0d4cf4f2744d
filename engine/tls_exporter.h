// The key of PROTOCOL.md 3, computed from what a TLS library writes into a key log: for programs
// whose TLS library nobody can ask.
#ifndef MPTCPTLS_ENGINE_TLS_EXPORTER_H_
#define MPTCPTLS_ENGINE_TLS_EXPORTER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "stack/types.h"

namespace mptcptls {

inline constexpr size_t kExporterKeySize = 16;
using ExporterKey = std::array<uint8_t, kExporterKeySize>;
using TlsRandom = std::array<uint8_t, 32>;

enum class PrfHash : uint8_t { kSha256, kSha384 };

// Of TLS 1.2's PRF (RFC 5246 5, and where a cipher suite is defined). nullopt: one that we do not
// know, or that has a PRF of its own.
std::optional<PrfHash> PrfHashOf(uint16_t cipher_suite);

// RFC 8446 7.5 from the exporter_master_secret, whose length (32 or 48) tells the hash; nullopt for
// any other length.
std::optional<ExporterKey> ExportTls13(ByteSpan exporter_secret);

// RFC 5705 4 without a context, from the master secret (48 bytes; nullopt for any other length).
std::optional<ExporterKey> ExportTls12(ByteSpan master_secret, const TlsRandom& client_random,
                                       const TlsRandom& server_random, PrfHash hash);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_TLS_EXPORTER_H_
