// The control protocol between the shim (in every program) and the engine (one per network
// namespace), and the abstract names that give a descriptor its identity (ARCHITECTURE.md 2-6). The
// only header (with kernel_info.h) that shim/ and engine/ share: it needs libc alone (no libstdc++
// symbol, no allocation, no exception) and every function is async-signal-safe.
//
// Transport: an AF_UNIX SOCK_STREAM connection to the engine's abstract name. Each message is one
// fixed struct in host byte order (both ends are on one machine) that begins with a Header;
// descriptors and credentials ride on its first byte (SCM_RIGHTS, SCM_CREDENTIALS). The receiver
// checks magic, exact version, verb and length before anything else; a mismatch ends the
// conversation with a Reply whose error is kErrorVersion or kErrorMalformed.
//
// Conversations (S: shim's side, E: engine's side). Both sides trust only what SO_PEERCRED says:
// S accepts an engine of uid 0 or its own uid, else "no engine".
//
//   connect   S: ConnectRequest (+ the kernel socket, SCM_RIGHTS)   E: ConnectReply (taken: id,
//   local address)
//             S binds this very socket to EncodeName(kInitiator, ...), then sends a PendingRequest
//             padded to more than a quarter of its SO_SNDBUF (+ SCM_CREDENTIALS) and dup3()s the
//             socket over the program's number. E reads the PendingRequest with MSG_PEEK, starts
//             the SYN, and drains it (all but the last byte, F) when the connection is up; closes
//             undrained when it failed and remembers why under the id (ResultRequest). From there
//             on the same socket carries the program's bytes, and nothing else.
//   listen    S: ListenRequest (+ the kernel socket), its AF_UNIX listener already bound to
//   EncodeName(kListener, ...) and listening
//             E: Reply. Per connection, E binds a socket to EncodeName(kResponder, ...) and
//             connects to that name. The accept() hook checks SO_PEERCRED and sends one byte
//             (kAcceptByte) with SCM_CREDENTIALS before anything else.
//   key       S: KeyMessage, closes. No answer.
//   secret    the key log's reader (`mptcptls run --keylog`): SecretMessage, closes. No answer.
//   others    S: one request, E: one reply, S closes.
#ifndef MPTCPTLS_ENGINE_CONTROL_H_
#define MPTCPTLS_ENGINE_CONTROL_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/kernel_info.h"

namespace mptcptls::control {

inline constexpr uint32_t kMagic = 0x4d505453;  // "MPTS"
// Any change to this header changes the number; shim and engine must agree exactly.
inline constexpr uint32_t kVersion = 6;
// Abstract name of the engine, without the leading NUL. Abstract names are per network namespace.
inline constexpr char kEngineName[] = "mptcptls/engine";
inline constexpr uint8_t kAcceptByte = 0xA5;

enum class Verb : uint16_t {
  kReply = 0,
  kConnect = 1,  // ConnectRequest -> ConnectReply
  kPending = 2,  // PendingRequest (no reply)
  kListen = 3,   // ListenRequest -> Reply
  kKey = 4,      // KeyMessage (no reply)
  kResult =
      5,  // ResultRequest -> Reply: error is the errno of a failed connect(), 0 when it succeeded
  kGetOption = 6,  // OptionRequest + the descriptor -> OptionReply
  kSetOption = 7,  // OptionRequest + the descriptor -> OptionReply
  kReap =
      8,  // ReapRequest -> Reply: releases dead listeners on a port; error 0 when one was released
  kStatus = 9,  // StatusRequest -> Reply, then Reply.payload_length bytes of JSON
  kDump = 10,   // Header + an open file -> Reply; lasts until the asker closes (root only)
  kMptcp = 12,  // MptcpRequest + the descriptor -> MptcpReply, then its subflows
  kDown = 11,  // Header -> Reply; the engine ends when the reply is sent (root or the engine's uid)
  kForget =
      13,  // ForgetRequest -> Reply: reason tells what was forgotten (root or the engine's uid)
  kSecret = 14,  // SecretMessage (no reply)
};

struct Header {
  uint32_t magic = kMagic;
  uint32_t version = kVersion;
  Verb verb = Verb::kReply;
  uint16_t reserved = 0;
  uint32_t length = 0;  // of the whole message, header (and pad) included
};

// Errors of a Reply that are no errno.
inline constexpr int32_t kErrorVersion = -1;    // another version: kernel TCP, the cause is logged
inline constexpr int32_t kErrorMalformed = -2;  // the engine did not understand the message
inline constexpr int32_t kErrorDeclined =
    -3;  // not captured (no uplink, firewall, limits): kernel TCP, ENETDOWN with MPTCPTLS_REQUIRE=1
inline constexpr int32_t kErrorBypass =
    -4;  // not captured (an address of this host, a bypass rule): kernel TCP in any case

struct Reply {
  Header header;
  int32_t error = 0;  // 0, an errno, or one of the above
  uint32_t payload_length = 0;
  char reason[160] = {};  // NUL-terminated, for MPTCPTLS_LOG and status
};

struct Address {
  uint8_t family = 0;  // 0: none, 4 or 6; IPv4-mapped IPv6 addresses are sent as 4
  uint8_t reserved = 0;
  uint16_t port = 0;  // host byte order
  uint8_t bytes[16] = {};
};

enum class Auth : uint8_t { kAuto = 0, kTls = 1, kKeys = 2, kTcp = 3 };  // PROTOCOL.md 1, "Policy"

// MPTCPTLS_SCHEDULER; it wins over the engine's configuration.
enum class Scheduler : uint8_t {
  kNotGiven = 0,
  kLowestRtt = 1,
  kBlest = 2,
  kEcf = 3,
  kRoundRobin = 4,
  kRedundant = 5,
  kLatency = 6
};

inline constexpr uint8_t kFlagTlsHooked = 1;  // a TLS library we hook is loaded in the process
inline constexpr uint8_t kFlagMapped = 2;     // an AF_INET6 socket: v4 addresses are shown mapped
inline constexpr uint8_t kFlagV6Only = 4;     // IPV6_V6ONLY is set (listen)
inline constexpr uint8_t kFlagAuthGiven =
    8;  // MPTCPTLS_AUTH was set: it wins over the engine's configuration
inline constexpr uint8_t kFlagMptcp = 16;  // the program's socket is one of IPPROTO_MPTCP
inline constexpr uint8_t kFlagLocal = 32;  // MPTCPTLS_CAPTURE=all: also to addresses of this host

struct ConnectRequest {
  Header header;
  Address remote;
  Address bound;  // what the program bound, family 0: nothing
  Auth auth = Auth::kAuto;
  uint8_t flags = 0;
  Scheduler scheduler = Scheduler::kNotGiven;
  uint8_t reserved = 0;
  uint32_t pid = 0;
  char program[32] = {};  // comm, for status and configuration rules
};

struct ConnectReply {
  Header header;
  int32_t error = 0;
  uint32_t reserved = 0;
  uint64_t id = 0;  // of the connection, random, never 0
  Address local;    // what getsockname() shall say
  char reason[160] = {};
};

// Followed by pad up to header.length, at least SO_SNDBUF / 4 + 1 bytes in all.
struct PendingRequest {
  Header header;
  uint64_t id = 0;
};
inline constexpr uint32_t kMaxPending = 64u << 20;

// MSG_MORE (send(2)), said in the stream itself: the bytes travel with one descriptor (SCM_RIGHTS)
// of any socket whose SO_MAX_PACING_RATE is their number. Only for so few that the kernel keeps
// them in one piece: of a longer write, whose end may then leave by itself, the flag is not told.
inline constexpr uint32_t kMostMarked = 16384;

struct ListenRequest {
  Header header;
  Address bound;
  int32_t backlog = 0;
  Auth auth = Auth::kAuto;
  uint8_t flags = 0;
  uint16_t name_length = 0;
  uint32_t pid = 0;
  Scheduler scheduler = Scheduler::kNotGiven;
  uint8_t reserved[3] = {};
  char program[32] = {};
  char name[108] = {};  // of the AF_UNIX listener, without the leading NUL
};

// Why a completed handshake gives no key (PROTOCOL.md 3).
enum class NoKey : uint8_t {
  kNone = 0,
  kNoExtendedMasterSecret = 1,
  kTlsTooOld = 2,
  kExporterFailed = 3
};

// Which end of a TLS session the program has.
enum class TlsEnd : uint8_t { kUnknown = 0, kClient = 1, kServer = 2 };

struct KeyMessage {
  Header header;
  uint8_t client_random[32] = {};
  uint8_t key[16] = {};
  uint8_t has_key = 0;
  NoKey why_not = NoKey::kNone;
  TlsEnd end = TlsEnd::kUnknown;
  uint8_t later = 0;  // of a renegotiation: replaces the first one (PROTOCOL.md 8)
};

// A line of a key log (draft-ietf-tls-keylogfile) of which a key can be made.
enum class SecretKind : uint8_t {
  kExporter = 1,  // EXPORTER_SECRET: TLS 1.3's exporter_master_secret, 32 or 48 bytes
  kMaster = 2     // CLIENT_RANDOM: the master secret of TLS 1.2 and older, 48 bytes
};

struct SecretMessage {
  Header header;
  uint8_t client_random[32] = {};
  uint8_t secret[48] = {};
  SecretKind kind = SecretKind::kExporter;
  uint8_t size = 0;
  uint8_t reserved[6] = {};
};

struct ResultRequest {
  Header header;
  uint64_t id = 0;
};

struct OptionRequest {
  Header header;
  int32_t level = 0;
  int32_t name = 0;
  uint32_t value_length = 0;
  uint8_t value[64] = {};
};

struct OptionReply {
  Header header;
  int32_t error = 0;
  uint32_t value_length = 0;
  uint8_t value[512] = {};
};

// getsockopt(SOL_MPTCP) and TCP_IS_MPTCP, whatever option was asked for.
struct MptcpRequest {
  Header header;
  uint8_t flags = 0;  // kFlagMptcp, kFlagMapped
  uint8_t reserved[7] = {};
};

// Followed by as many MptcpSubflow as it says; header.length covers them.
struct MptcpReply {
  Header header;
  int32_t error = 0;  // ENOPROTOOPT: this is no MPTCP socket, or no longer
  uint32_t subflows = 0;
  kernel::MptcpInfo info;
};

struct MptcpSubflow {
  kernel::SubflowInfo info;
  kernel::TcpInfo tcp;
};
inline constexpr uint32_t kMaxSubflows = 64;

struct ReapRequest {
  Header header;
  Address address;
};

struct StatusRequest {
  Header header;
};

// Of the capability cache (PROTOCOL.md 1).
struct ForgetRequest {
  Header header;
  Address destination;  // family 0: everything; port 0: every port
};

template <typename Message>
inline Message Make(Verb verb) {
  Message m;
  m.header.verb = verb;
  m.header.length = sizeof(Message);
  return m;
}

inline bool HeaderIsOurs(const Header& h) { return h.magic == kMagic && h.version == kVersion; }

// ---- Abstract names
// -------------------------------------------------------------------------------------------
// "mptcptls/" role mapped id local remote, hexadecimal: 9 + 1 + 1 + 16 + 38 + 38 = 103 bytes, so it
// fits sun_path and reads well in `ss -xl`. `mapped` is m or -.

enum class Role : char { kInitiator = 'c', kResponder = 'a', kListener = 'l' };

struct Name {
  Role role = Role::kInitiator;
  bool mapped = false;  // the program's socket is AF_INET6
  uint64_t id = 0;
  Address local;
  Address remote;
};

inline constexpr char kNamePrefix[] = "mptcptls/";
inline constexpr size_t kPrefixLength = sizeof kNamePrefix - 1;
inline constexpr size_t kAddressDigits = 38;  // family 2, port 4, address 32
inline constexpr size_t kNameLength = kPrefixLength + 2 + 16 + 2 * kAddressDigits;

namespace detail {
inline char HexDigit(unsigned v) { return static_cast<char>(v < 10 ? '0' + v : 'a' + v - 10); }
inline int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}
inline char* PutHex(char* out, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i)
    *out++ = HexDigit(static_cast<unsigned>(value >> (4 * i)) & 15);
  return out;
}
inline bool TakeHex(const char*& in, int digits, uint64_t* value) {
  *value = 0;
  for (int i = 0; i < digits; ++i) {
    const int v = HexValue(*in++);
    if (v < 0) return false;
    *value = *value << 4 | static_cast<uint64_t>(v);
  }
  return true;
}
inline char* PutAddress(char* out, const Address& a) {
  out = PutHex(out, a.family, 2);
  out = PutHex(out, a.port, 4);
  for (uint8_t b : a.bytes) out = PutHex(out, b, 2);
  return out;
}
inline bool TakeAddress(const char*& in, Address* a) {
  uint64_t v = 0;
  if (!TakeHex(in, 2, &v) || (v != 0 && v != 4 && v != 6)) return false;
  a->family = static_cast<uint8_t>(v);
  if (!TakeHex(in, 4, &v)) return false;
  a->port = static_cast<uint16_t>(v);
  for (uint8_t& b : a->bytes) {
    if (!TakeHex(in, 2, &v)) return false;
    b = static_cast<uint8_t>(v);
  }
  return true;
}
}  // namespace detail

// Fills `address` and returns its length for bind() or connect().
inline socklen_t EncodeName(const Name& name, sockaddr_un* address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  char* out = address->sun_path + 1;
  memcpy(out, kNamePrefix, kPrefixLength);
  out += kPrefixLength;
  *out++ = static_cast<char>(name.role);
  *out++ = name.mapped ? 'm' : '-';
  out = detail::PutHex(out, name.id, 16);
  out = detail::PutAddress(out, name.local);
  detail::PutAddress(out, name.remote);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kNameLength);
}

// False when `address` (with `length` as the kernel gave it) is not one of our names.
inline bool DecodeName(const sockaddr_un& address, socklen_t length, Name* name) {
  if (length != offsetof(sockaddr_un, sun_path) + 1 + kNameLength ||
      address.sun_family != AF_UNIX || address.sun_path[0] != 0 ||
      memcmp(address.sun_path + 1, kNamePrefix, kPrefixLength) != 0)
    return false;
  const char* in = address.sun_path + 1 + kPrefixLength;
  const char role = *in++;
  if (role != 'c' && role != 'a' && role != 'l') return false;
  name->role = static_cast<Role>(role);
  const char mapped = *in++;
  if (mapped != 'm' && mapped != '-') return false;
  name->mapped = mapped == 'm';
  return detail::TakeHex(in, 16, &name->id) && detail::TakeAddress(in, &name->local) &&
         detail::TakeAddress(in, &name->remote);
}

inline socklen_t EngineAddress(sockaddr_un* address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path + 1, kEngineName, sizeof kEngineName - 1);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + sizeof kEngineName - 1);
}

}  // namespace mptcptls::control

#endif  // MPTCPTLS_ENGINE_CONTROL_H_
