#include "stack/wire/tcp_options.h"

#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

enum Kind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8
};

void ParseSack(ByteSpan o, TcpOptions* out) {
  if ((o.size() - 2) % 8 != 0) return;
  for (size_t at = 2; at + 8 <= o.size() && out->sack_count < out->sack.size(); at += 8)
    out->sack[out->sack_count++] = {{LoadBig<uint32_t>(&o[at])}, {LoadBig<uint32_t>(&o[at + 4])}};
}

void ParseOne(ByteSpan o, bool syn, bool ack, TcpOptions* out) {
  switch (o[0]) {
    case kMss:
      if (syn && o.size() == 4) out->mss = LoadBig<uint16_t>(&o[2]);
      break;
    case kWindowScale:
      if (syn && o.size() == 3) out->window_scale = o[2];
      break;
    case kSackPermitted:
      if (syn && o.size() == 2) out->sack_permitted = true;
      break;
    case kSack:
      ParseSack(o, out);
      break;
    case kTimestamps:
      if (o.size() == 10) out->timestamps = {LoadBig<uint32_t>(&o[2]), LoadBig<uint32_t>(&o[6])};
      break;
    case kMptcpOptionKind:
      ParseMptcpOption(o, syn, ack, &out->mptcp);
      break;
    default:
      break;
  }
}

uint8_t* Head(uint8_t* out, int nops, Kind kind, uint8_t length) {
  while (nops-- > 0) *out++ = kNop;
  *out++ = kind;
  *out++ = length;
  return out;
}

}  // namespace

void ParseTcpOptions(ByteSpan bytes, bool syn, bool ack, TcpOptions* out) {
  size_t at = 0;
  while (at < bytes.size() && bytes[at] != kEnd) {
    if (bytes[at] == kNop) {
      ++at;
      continue;
    }
    if (at + 1 >= bytes.size()) return;
    const size_t length = bytes[at + 1];
    if (length < 2 || at + length > bytes.size()) {
      if (bytes[at] == kMptcpOptionKind) ++out->mptcp.malformed;
      return;
    }
    ParseOne(bytes.subspan(at, length), syn, ack, out);
    at += length;
  }
}

size_t EncodedSize(const TcpOptions& options) {
  size_t n = 0;
  if (options.mss) n += 4;
  if (options.window_scale) n += 4;
  if (options.sack_permitted) n += 4;
  if (options.timestamps) n += 12;
  if (options.sack_count > 0) n += 4 + 8u * options.sack_count;
  return n + EncodedSize(options.mptcp);
}

void Encode(const TcpOptions& options, uint8_t* out) {
  if (options.mss) {
    StoreBig(Head(out, 0, kMss, 4), *options.mss);
    out += 4;
  }
  if (options.sack_permitted) out = Head(out, 2, kSackPermitted, 2);
  if (options.timestamps) {
    out = Head(out, 2, kTimestamps, 10);
    StoreBig(out, options.timestamps->value);
    StoreBig(out + 4, options.timestamps->echo_reply);
    out += 8;
  }
  if (options.window_scale) {
    out = Head(out, 1, kWindowScale, 3);
    *out++ = *options.window_scale;
  }
  if (options.sack_count > 0) {
    out = Head(out, 2, kSack, static_cast<uint8_t>(2 + 8 * options.sack_count));
    for (size_t i = 0; i < options.sack_count; ++i, out += 8) {
      StoreBig(out, options.sack[i].begin.value);
      StoreBig(out + 4, options.sack[i].end.value);
    }
  }
  Encode(options.mptcp, out);
}

}  // namespace mptcptls
