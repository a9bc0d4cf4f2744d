// MPTCP options: TCP option kind 30 (RFC 8684 3, PROTOCOL.md 2, 4, 5). One value type per subtype;
// each is legal by construction when it comes out of ParseMptcpOption(). Malformed ones are ignored
// as a whole and counted.
#ifndef MPTCPTLS_STACK_WIRE_MPTCP_OPTIONS_H_
#define MPTCPTLS_STACK_WIRE_MPTCP_OPTIONS_H_

#include <array>
#include <cstdint>
#include <optional>

#include "stack/types.h"

namespace mptcptls {

inline constexpr uint8_t kMptcpOptionKind = 30;

// Subtype 0 (RFC 8684 3.1; TLS-auth forms: PROTOCOL.md 2).
struct MpCapable {
  static constexpr uint8_t kFlagChecksum = 0x80;  // A
  static constexpr uint8_t kFlagB = 0x40;
  static constexpr uint8_t kFlagNoJoinHere = 0x20;  // C
  static constexpr uint8_t kFlagTlsAuth = 0x08;     // E
  static constexpr uint8_t kFlagHmacSha256 = 0x01;  // H
  enum class Form : uint8_t {
    kSyn,           // 4
    kSynAck,        // 12, or 8 with E
    kAck,           // 20, or 12 with E
    kData,          // 22, or 14 with E
    kDataChecksum,  // 24, or 16 with E
  };
  Form form = Form::kSyn;
  uint8_t version = 1;
  uint8_t flags = kFlagHmacSha256;
  // RFC 8684: sender's key, receiver's key. TLS-auth: sender's and receiver's token in the low 32
  // bits. The SYN/ACK has the sender's only.
  uint64_t sender = 0;
  uint64_t receiver = 0;
  uint16_t data_length = 0;
  uint16_t checksum = 0;

  bool tls_auth() const { return (flags & kFlagTlsAuth) != 0; }
  // PROTOCOL.md 1, "Valid", but for what depends on the SYN (E in an answer only if offered):
  // version 1, H = 1, B, D, F, G = 0. The length was checked by the parser. A SYN may carry a
  // higher version.
  bool ValidFlags() const;
};

// Subtype 1 (RFC 8684 3.2).
struct MpJoin {
  enum class Form : uint8_t { kSyn, kSynAck, kAck };
  Form form = Form::kSyn;
  bool backup = false;
  uint8_t address_id = 0;
  uint32_t token = 0;              // kSyn: of the receiver
  uint32_t nonce = 0;              // kSyn, kSynAck
  std::array<uint8_t, 20> hmac{};  // kSynAck: the first 8 bytes; kAck: all
};

// Subtype 2 (RFC 8684 3.3).
struct Dss {
  std::optional<uint64_t> data_ack;
  bool data_ack_8 = false;  // width on the wire
  bool has_mapping = false;
  bool dsn_8 = true;
  uint64_t dsn = 0;     // low 32 bits only when !dsn_8
  uint32_t ssn = 0;     // relative subflow sequence number
  uint16_t length = 0;  // 0 with a mapping: infinite mapping
  std::optional<uint16_t> checksum;
  bool data_fin = false;
};

// Subtype 3 (RFC 8684 3.4.1).
struct AddAddr {
  bool echo = false;
  uint8_t address_id = 0;
  IpAddress address;
  std::optional<uint16_t> port;
  std::array<uint8_t, 8> hmac{};  // absent in an echo
};

// Subtype 4 (RFC 8684 3.4.2).
struct RemoveAddr {
  std::array<uint8_t, 12> ids{};
  uint8_t count = 0;
};

struct MpPrio {  // subtype 5, for the subflow that carries it
  bool backup = false;
};

struct MpFail {  // subtype 6
  uint64_t dsn = 0;
};

struct FastClose {  // subtype 7: the receiver's key, or the tag of PROTOCOL.md 5
  std::array<uint8_t, 8> key{};
};

// Subtype 8 (RFC 8684 3.6).
struct TcpRst {
  enum Reason : uint8_t {
    kUnspecified = 0,
    kMptcpError = 1,  // unknown token, bad HMAC, ...
    kNoResources = 2,
    kProhibited = 3,  // policy
    kTooMuchOutstanding = 4,
    kUnacceptable = 5,
    kMiddlebox = 6,  // missing DSS on a join
  };
  bool transient = false;  // T
  uint8_t reason = kUnspecified;
};

// Subtype 9 (PROTOCOL.md 8): the sender holds the key.
struct NewKey {
  bool second = false;  // K: which key; false is the first
  std::array<uint8_t, 8> tag{};
};

// All options of kind 30 on one segment. Of each subtype the first counts. Unknown subtypes are
// ignored silently.
struct MptcpOptions {
  std::optional<MpCapable> capable;
  std::optional<MpJoin> join;
  std::optional<Dss> dss;
  std::optional<AddAddr> add_addr;
  std::optional<RemoveAddr> remove_addr;
  std::optional<MpPrio> prio;
  std::optional<MpFail> fail;
  std::optional<FastClose> fast_close;
  std::optional<TcpRst> tcp_rst;
  std::optional<NewKey> new_key;
  uint8_t malformed = 0;

  bool empty() const;
};

// `option` is the whole option, kind and length included. `syn` and `ack` are the segment's flags
// (they decide MP_JOIN's form).
void ParseMptcpOption(ByteSpan option, bool syn, bool ack, MptcpOptions* out);

// Bytes on the wire of everything set in `options` (each padded to 4 by NOPs where needed).
size_t EncodedSize(const MptcpOptions& options);
// Encodes into `out`, which has EncodedSize() bytes; returns the end.
uint8_t* Encode(const MptcpOptions& options, uint8_t* out);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_MPTCP_OPTIONS_H_
