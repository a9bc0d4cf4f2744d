// What a ServerHello says (RFC 5246 7.4.1.3, RFC 8446 4.1.3) that the exporter of TLS 1.2 needs,
// read from the bytes that come after a ClientHello in the other direction.
#ifndef MPTCPTLS_ENGINE_SERVER_HELLO_H_
#define MPTCPTLS_ENGINE_SERVER_HELLO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

struct ServerHello {
  uint16_t version = 0;  // 0x0303, or what supported_versions says (0x0304)
  std::array<uint8_t, 32> random{};
  uint16_t cipher_suite = 0;
  bool extended_master_secret = false;  // RFC 7627
};

// Of the body of the handshake message; nullopt when it is none.
std::optional<ServerHello> ParseServerHello(ByteSpan body);

// Takes a stream from its first record on, in any pieces. The message may be spread over records.
class ServerHelloFinder {
 public:
  static constexpr size_t kMaxMessage = 8192;  // a longer one is not waited for

  void Feed(ByteSpan bytes);
  // Nothing more is looked at: hello() is there, or there is none.
  bool done() const { return done_; }
  const std::optional<ServerHello>& hello() const { return hello_; }

 private:
  static constexpr size_t kRecordHeader = 5;
  static constexpr size_t kMessageHeader = 4;

  size_t TakeRecordHeader(ByteSpan bytes);
  size_t TakePayload(ByteSpan bytes);
  void GiveUp();

  std::array<uint8_t, kRecordHeader> record_{};
  size_t record_have_ = 0;   // of its header
  size_t payload_left_ = 0;  // of the record
  std::vector<uint8_t> message_;
  std::optional<ServerHello> hello_;
  bool done_ = false;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_SERVER_HELLO_H_
