#include "stack/wire/checksum.h"

#include <bit>
#include <cstring>

namespace mptcptls {
namespace {

uint16_t Fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t Swap(uint16_t v) { return static_cast<uint16_t>(v << 8 | v >> 8); }

// One's complement sums do not care about byte order until the end (RFC 1071 2.B), so words are
// added as the machine loads them.
uint64_t SumNative(ByteSpan bytes) {
  uint64_t sum = 0;
  const uint8_t* p = bytes.data();
  size_t left = bytes.size();
  while (left >= 16) {
    uint32_t w[4];
    std::memcpy(w, p, sizeof w);
    sum += static_cast<uint64_t>(w[0]) + w[1] + (static_cast<uint64_t>(w[2]) + w[3]);
    p += 16;
    left -= 16;
  }
  while (left >= 2) {
    uint16_t w;
    std::memcpy(&w, p, sizeof w);
    sum += w;
    p += 2;
    left -= 2;
  }
  if (left == 1) {
    uint16_t w = 0;
    std::memcpy(&w, p, 1);
    sum += w;
  }
  return sum;
}

}  // namespace

static_assert(std::endian::native == std::endian::little, "Swap() below assumes it");

void ChecksumSum::Add(ByteSpan bytes) {
  uint16_t piece = Swap(Fold(SumNative(bytes)));
  if (odd_) piece = Swap(piece);  // its bytes stand at odd places
  sum_ += piece;
  if (bytes.size() % 2 != 0) odd_ = !odd_;
}

void ChecksumSum::AddWord(uint16_t host_order) { sum_ += host_order; }

uint16_t ChecksumSum::Folded() const { return Fold(sum_); }

void AddTcpPseudoHeader(ChecksumSum* sum, const IpAddress& source, const IpAddress& destination,
                        size_t tcp_length) {
  sum->Add(source.span());
  sum->Add(destination.span());
  sum->AddWord(6);
  sum->AddWord(static_cast<uint16_t>(tcp_length >> 16));
  sum->AddWord(static_cast<uint16_t>(tcp_length));
}

}  // namespace mptcptls
