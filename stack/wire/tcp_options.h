// TCP options (RFC 9293 3.2, RFC 7323, RFC 2018) with kind 30 inside. Parsing never fails: what is
// malformed ends the list (RFC 9293 3.1), as in the kernel.
#ifndef MPTCPTLS_STACK_WIRE_TCP_OPTIONS_H_
#define MPTCPTLS_STACK_WIRE_TCP_OPTIONS_H_

#include <array>
#include <cstdint>
#include <optional>

#include "stack/types.h"
#include "stack/wire/mptcp_options.h"
#include "stack/wire/seq.h"

namespace mptcptls {

inline constexpr size_t kMaxTcpOptions = 40;

struct Timestamps {
  uint32_t value = 0;
  uint32_t echo_reply = 0;
};

struct SackBlock {
  Seq begin, end;  // [begin, end)
  bool operator==(const SackBlock&) const = default;
};

struct TcpOptions {
  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;  // as received: up to 255; RFC 7323 2.3 caps its use at 14
  bool sack_permitted = false;
  std::optional<Timestamps> timestamps;
  std::array<SackBlock, 4> sack{};
  uint8_t sack_count = 0;
  MptcpOptions mptcp;
};

void ParseTcpOptions(ByteSpan bytes, bool syn, bool ack, TcpOptions* out);

// Bytes on the wire, a multiple of 4. Above kMaxTcpOptions they do not fit: which one gives way is
// the caller's decision.
size_t EncodedSize(const TcpOptions& options);
// Encodes into `out`, which has EncodedSize() bytes.
void Encode(const TcpOptions& options, uint8_t* out);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_TCP_OPTIONS_H_
