// A handshake of OpenSSL with itself in memory: what passes between the ends, flight by flight, the
// lines of both key logs, and the key that OpenSSL exports.
#ifndef MPTCPTLS_TESTS_UNIT_ENGINE_TLS_HANDSHAKE_H_
#define MPTCPTLS_TESTS_UNIT_ENGINE_TLS_HANDSHAKE_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/tls_exporter.h"

namespace mptcptls {

struct HandshakeOptions {
  int version = TLS1_3_VERSION;
  std::string cipher = "";  // by OpenSSL's name; empty: any
  bool extended_master_secret = true;
  bool retry = false;        // the server asks for another key share (HelloRetryRequest)
  std::string renewed = "";  // what Handshake::session of an earlier one holds: resumed
};

struct Flight {
  bool by_client = false;
  std::vector<uint8_t> bytes;
};

struct Handshake {
  std::vector<Flight> flights;  // of the handshake, and one of data from each side
  std::vector<std::string> client_log, server_log;
  ExporterKey key{};  // the same on both ends
  TlsRandom client_random{};
  std::string session;  // for another one
  bool resumed = false;
};

// Throws std::runtime_error when OpenSSL does.
Handshake DoHandshake(const HandshakeOptions& options);

}  // namespace mptcptls

#endif  // MPTCPTLS_TESTS_UNIT_ENGINE_TLS_HANDSHAKE_H_
