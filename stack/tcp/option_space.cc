#include "stack/tcp/option_space.h"

namespace mptcptls {
namespace {

constexpr size_t kOneBlock = 12;  // RFC 2018 3: kind, length, two edges; padded

}  // namespace

size_t RoomForMptcp(const TcpOptions& options, bool pure_ack, bool has_holes) {
  const size_t reserved = pure_ack && has_holes ? kOneBlock : 0;
  return kMaxTcpOptions - EncodedSize(options) - reserved;
}

void FitSackBlocks(TcpOptions* options) {
  while (options->sack_count > 0 && EncodedSize(*options) > kMaxTcpOptions) --options->sack_count;
}

}  // namespace mptcptls
