// Source ports of the engine: blocks of 256 free ports, above the ephemeral range where there is
// room, each port guarded by a bound, non-listening dual-stack socket so that no other program of
// the host gets it (ARCHITECTURE.md 8; F: 1,000 in 7 ms). Grown on demand.
#ifndef MPTCPTLS_TUN_PORT_BLOCKS_H_
#define MPTCPTLS_TUN_PORT_BLOCKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tun/steering.h"

namespace mptcptls {

class PortBlocks {
 public:
  static constexpr int kBlockSize = 256;
  static constexpr int kMaxBlocks = 64;

  PortBlocks();
  ~PortBlocks();
  PortBlocks(const PortBlocks&) = delete;
  PortBlocks& operator=(const PortBlocks&) = delete;

  // Reserves one more block. False and an error when no 256 free contiguous-or-not ports are left
  // or descriptors ran out.
  bool Grow(std::string* error);
  // Reserved ports as ranges (a port in use by someone else is simply missing), ascending.
  const std::vector<PortRange>& ranges() const { return ranges_; }
  // Every reserved port, what the stack allocates from; new ones come last.
  const std::vector<uint16_t>& ports() const { return ports_; }

 private:
  std::vector<PortRange> ranges_;
  std::vector<uint16_t> ports_;
  std::vector<int> guards_;
  std::vector<uint16_t> candidates_;  // in the order in which they are tried
  size_t next_candidate_ = 0;
};

// The ranges that ascending ports form.
std::vector<PortRange> ToRanges(const std::vector<uint16_t>& ascending_ports);

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_PORT_BLOCKS_H_
