// The TLS handshake on one captured stream, as far as it is readable on it: whose client random it
// has, and, for a program that writes a key log, when and with which key it is complete.
#ifndef MPTCPTLS_ENGINE_TLS_WATCH_H_
#define MPTCPTLS_ENGINE_TLS_WATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/client_random.h"
#include "engine/control.h"
#include "engine/server_hello.h"
#include "engine/tls_exporter.h"
#include "stack/types.h"

namespace mptcptls {

// A secret of a key log; wiped when it goes.
class LoggedSecret {
 public:
  LoggedSecret() = default;
  // False when the message is not one that a key log gives.
  bool Take(const control::SecretMessage& message);
  ~LoggedSecret() { Wipe(); }
  LoggedSecret(const LoggedSecret&) = delete;
  LoggedSecret& operator=(const LoggedSecret&) = delete;

  bool empty() const { return size_ == 0; }
  control::SecretKind kind() const { return kind_; }
  ByteSpan span() const { return ByteSpan(bytes_).first(size_); }
  void Wipe();

 private:
  control::SecretKind kind_ = control::SecretKind::kExporter;
  size_t size_ = 0;
  std::array<uint8_t, sizeof control::SecretMessage::secret> bytes_{};
};

class TlsWatch {
 public:
  enum class From : uint8_t { kProgram, kNetwork };

  // The next bytes of one direction. The client random once, when it is complete.
  std::optional<ClientRandom> Feed(From from, ByteSpan bytes);
  // The first secret counts; false when it is none.
  bool TakeSecret(const control::SecretMessage& message);

  // A secret is there, and both Finished are on their way, the peer's with the program (PROTOCOL.md
  // 3): a library writes the secret when it has computed it, which is before that. Told by the
  // turns that the two sides take: a TLS 1.3 client answers its server with its Finished; everybody
  // else has one more turn to wait for.
  bool ripe() const;
  // Once, when it is ripe: the key, or why there is none.
  struct Outcome {
    std::optional<ExporterKey> key;
    control::NoKey why_not = control::NoKey::kNone;
  };
  Outcome TakeKey();

 private:
  struct Direction {
    ClientRandomFinder client_hello;
    ServerHelloFinder server_hello;
  };
  Direction& Of(From from) { return from == From::kProgram ? program_ : network_; }
  const ServerHelloFinder& server() const {
    return client_ == From::kProgram ? network_.server_hello : program_.server_hello;
  }
  Outcome Derive() const;

  Direction program_, network_;
  bool begun_ = false;            // there was a ClientHello
  From client_ = From::kProgram;  // it came from there
  From last_ = From::kProgram;
  uint8_t turns_ = 0;  // changes of direction since the ClientHello; stays at the last that counts
  ClientRandom random_{};
  LoggedSecret secret_;
  bool taken_ = false;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_TLS_WATCH_H_
