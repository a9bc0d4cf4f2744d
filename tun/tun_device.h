// The engine's TUN device: IFF_TUN|IFF_NO_PI|IFF_VNET_HDR with checksum and segmentation offload,
// so that one read or write carries up to 65,521 bytes of IP packet (FACTS.md, "TUN and the way to
// the wire"). Not persistent: it vanishes with the descriptor, also on kill -9.
#ifndef MPTCPTLS_TUN_TUN_DEVICE_H_
#define MPTCPTLS_TUN_TUN_DEVICE_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>

#include "stack/types.h"

namespace mptcptls {

// What the kernel says, or is told, about a packet beside its bytes (struct virtio_net_hdr).
struct Offload {
  bool partial_checksum = false;  // the TCP checksum holds the pseudo-header's sum only
  bool checksum_valid = false;    // read: a device has checked it
  uint16_t gso_size = 0;          // payload bytes per packet on the wire; 0: one packet
  uint16_t header_length = 0;     // IP + TCP header with options
  uint16_t tcp_offset = 0;        // where the TCP header begins
};

inline constexpr size_t kMaxIpPacket = 65521;  // F: 65,522 is cut silently

class TunDevice {
 public:
  // Creates and brings up a device named `name` (a %d pattern as the kernel takes it). On failure
  // returns null and sets `error` to cause and remedy.
  static std::unique_ptr<TunDevice> Open(const std::string& name, std::string* error);
  ~TunDevice();
  TunDevice(const TunDevice&) = delete;
  TunDevice& operator=(const TunDevice&) = delete;

  int fd() const { return fd_; }  // non-blocking, close-on-exec; owned by this object
  const std::string& name() const { return name_; }
  int ifindex() const { return ifindex_; }

  // Reads one IP packet into [buffer, buffer + capacity). Returns its length, 0 when there is none,
  // -errno on failure. `family` says which gso type the kernel used where there was one.
  ssize_t Read(uint8_t* buffer, size_t capacity, Offload* offload);

  // Writes one IP packet gathered from at most 8 pieces. Returns 0 or -errno.
  int Write(Family family, const Offload& offload, const iovec* pieces, int count);

  // False when a probing write showed that this kernel does not take large segments; the engine
  // then sends packet by packet.
  bool segmentation() const { return segmentation_; }

 private:
  TunDevice() = default;
  int fd_ = -1;
  std::string name_;
  int ifindex_ = 0;
  bool segmentation_ = true;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_TUN_DEVICE_H_
