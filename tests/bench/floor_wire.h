// What the floor has for a protocol: segments with a valid TCP header through the engine's own TUN
// device and nftables table, counted and acknowledged, and nothing else.
#ifndef MPTCPTLS_TESTS_BENCH_FLOOR_WIRE_H_
#define MPTCPTLS_TESTS_BENCH_FLOOR_WIRE_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/types.h"
#include "stack/wire/segment.h"
#include "tun/steering.h"
#include "tun/tun_device.h"
#include "tun/uplinks.h"

namespace mptcptls::bench {

class FloorWire {
 public:
  // In the network namespace of the calling thread; one of the ports is 0. Throws
  // std::runtime_error with cause and remedy.
  FloorWire(uint16_t source_port, uint16_t listening_port);

  // `number` travels as the sequence number.
  void Send(const FourTuple& tuple, uint32_t number, bool last, ByteSpan payload);
  // The next segment, valid until the next call; nullopt when none comes before the deadline.
  std::optional<Segment> Receive(std::chrono::milliseconds deadline);

 private:
  std::unique_ptr<TunDevice> tun_;
  std::unique_ptr<UplinkMonitor> uplinks_;
  std::unique_ptr<Steering> steering_;
  std::vector<uint8_t> packet_;
  std::array<uint8_t, kMaxHeaders> headers_;
};

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_FLOOR_WIRE_H_
