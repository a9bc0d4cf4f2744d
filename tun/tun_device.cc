#include "tun/tun_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace mptcptls {
namespace {

constexpr int kMtu = 65535;              // lets packets of kMaxIpPacket through in both directions
constexpr int kTransmitQueue = 1000;     // packets of up to 64 KiB that may wait for Read()
constexpr int kMaxPieces = 8;            // the contract of Write()
constexpr uint16_t kChecksumField = 16;  // RFC 9293 3.1: the checksum within the TCP header

// What precedes each packet on the descriptor (virtio 1.2, 5.1.6, in this host's byte order).
// <linux/virtio_net.h> uses a C++ keyword as a name.
struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
};
static_assert(sizeof(VnetHeader) == 10);
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpV4 = 1;
constexpr uint8_t kGsoTcpV6 = 4;

std::string Reason(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

std::string OpenFailure(int error) {
  const std::string cause = Reason("cannot open /dev/net/tun", error);
  switch (error) {
    case ENOENT:
      return cause +
             "; create it (mkdir -p /dev/net && mknod /dev/net/tun c 10 200), or in a container "
             "pass the device in (--device /dev/net/tun)";
    case ENODEV:
    case ENXIO:
      return cause + "; this kernel has no TUN driver: modprobe tun, or enable CONFIG_TUN";
    case EPERM:
    case EACCES:
      return cause + "; start the engine as root, and in a container allow the device 10:200";
    default:
      return cause;
  }
}

std::string CreateFailure(const std::string& name, int error) {
  const std::string cause = Reason("cannot create the TUN device " + name, error);
  if (error == EPERM || error == EACCES)
    return cause + "; needs CAP_NET_ADMIN in the user namespace that owns this network namespace";
  if (error == EBUSY) return cause + "; another program holds a device of this name";
  return cause;
}

// A descriptor for interface ioctls, closed when it goes out of scope.
class ControlSocket {
 public:
  ControlSocket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) fd_ = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  ~ControlSocket() {
    if (fd_ >= 0) close(fd_);
  }
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

ifreq Request(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

// Without an address of its own the device sends nothing unasked: no router solicitation, no
// multicast report of a link-local address. A host without IPv6 refuses this, and needs it not.
void ForgoLinkLocalAddress(int ifindex) {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return;
  rtnl_link* change = rtnl_link_alloc();
  if (change != nullptr && nl_connect(socket, NETLINK_ROUTE) == 0) {
    rtnl_link_set_ifindex(change, ifindex);
    if (rtnl_link_inet6_set_addr_gen_mode(change, rtnl_link_inet6_str2addrgenmode("none")) == 0)
      (void)rtnl_link_change(socket, change, change, 0);
  }
  if (change != nullptr) rtnl_link_put(change);
  nl_socket_free(socket);
}

bool BringUp(const std::string& name, int* ifindex, std::string* error) {
  const ControlSocket control;
  ifreq request = Request(name);
  if (ioctl(control.fd(), SIOCGIFINDEX, &request) < 0) {
    *error = Reason("cannot find the TUN device " + name, errno);
    return false;
  }
  *ifindex = request.ifr_ifindex;
  ForgoLinkLocalAddress(*ifindex);
  request = Request(name);
  request.ifr_mtu = kMtu;
  if (ioctl(control.fd(), SIOCSIFMTU, &request) < 0) {
    *error = Reason("cannot set the MTU of " + name, errno);
    return false;
  }
  request = Request(name);
  request.ifr_qlen = kTransmitQueue;
  if (ioctl(control.fd(), SIOCSIFTXQLEN, &request) < 0) {
    *error = Reason("cannot set the queue length of " + name, errno);
    return false;
  }
  request = Request(name);
  request.ifr_flags = IFF_UP;
  if (ioctl(control.fd(), SIOCSIFFLAGS, &request) < 0) {
    *error = Reason("cannot bring up " + name, errno);
    return false;
  }
  return true;
}

// A large segment that no host takes in: the IPv4 header's checksum is wrong, so it is dropped
// before routing, netfilter or any socket sees it (RFC 1122 3.2.1.2), whether or not the host
// forwards. What is tested is whether write() takes the segmentation request.
bool TakesLargeSegments(TunDevice& device) {
  constexpr uint16_t kHeaders = 40;
  std::vector<uint8_t> packet(kHeaders + 4200, 0);
  packet[0] = 0x45;
  packet[2] = static_cast<uint8_t>(packet.size() >> 8);
  packet[3] = static_cast<uint8_t>(packet.size());
  packet[8] = 1;  // TTL
  packet[9] = IPPROTO_TCP;
  packet[10] = 0xde;  // the right checksum of this header is another
  packet[11] = 0xad;
  std::copy_n(std::array<uint8_t, 4>{192, 0, 2, 1}.begin(), 4, packet.begin() + 12);
  std::copy_n(std::array<uint8_t, 4>{192, 0, 2, 2}.begin(), 4, packet.begin() + 16);
  packet[32] = 5 << 4;  // TCP data offset
  const Offload offload{
      .partial_checksum = true, .gso_size = 1400, .header_length = kHeaders, .tcp_offset = 20};
  const iovec piece{packet.data(), packet.size()};
  return device.Write(Family::kV4, offload, &piece, 1) == 0;
}

}  // namespace

std::unique_ptr<TunDevice> TunDevice::Open(const std::string& name, std::string* error) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    *error = "the TUN device's name must have 1 to 15 characters, not \"" + name + "\"";
    return nullptr;
  }
  std::unique_ptr<TunDevice> device(new TunDevice);
  device->fd_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device->fd_ < 0) {
    *error = OpenFailure(errno);
    return nullptr;
  }
  ifreq request = Request(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(device->fd_, TUNSETIFF, &request) < 0) {
    *error = CreateFailure(name, errno);
    return nullptr;
  }
  device->name_ = request.ifr_name;
  // TSO_ECN: else segments that carry CWR are cut before they reach us (FACTS.md).
  constexpr unsigned kLargeSegments = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  device->segmentation_ = ioctl(device->fd_, TUNSETOFFLOAD, kLargeSegments) == 0;
  if (!device->segmentation_ && ioctl(device->fd_, TUNSETOFFLOAD, TUN_F_CSUM) < 0) {
    *error = Reason("the TUN device refuses checksum offload", errno);
    return nullptr;
  }
  if (!BringUp(device->name_, &device->ifindex_, error)) return nullptr;
  if (device->segmentation_) device->segmentation_ = TakesLargeSegments(*device);
  return device;
}

TunDevice::~TunDevice() {
  if (fd_ >= 0) close(fd_);
}

ssize_t TunDevice::Read(uint8_t* buffer, size_t capacity, Offload* offload) {
  VnetHeader header;
  const std::array<iovec, 2> pieces{iovec{&header, sizeof header}, iovec{buffer, capacity}};
  ssize_t length;
  do {
    length = readv(fd_, pieces.data(), pieces.size());
  } while (length < 0 && errno == EINTR);
  if (length < 0) return errno == EAGAIN ? 0 : -errno;
  if (length <= static_cast<ssize_t>(sizeof header)) return -EIO;
  length -= static_cast<ssize_t>(sizeof header);

  *offload = Offload{};
  offload->checksum_valid = (header.flags & kDataValid) != 0;
  if (header.gso_type != kGsoNone) offload->gso_size = header.gso_size;
  if ((header.flags & kNeedsChecksum) != 0) {
    offload->partial_checksum = true;
    offload->tcp_offset = header.csum_start;
    // The kernel's hdr_len is how much of the packet happened to be linear: read it ourselves.
    const size_t data_offset = size_t{header.csum_start} + 12;
    if (data_offset < static_cast<size_t>(length))
      offload->header_length =
          static_cast<uint16_t>(header.csum_start + (buffer[data_offset] >> 4) * 4);
  }
  return length;
}

int TunDevice::Write(Family family, const Offload& offload, const iovec* pieces, int count) {
  if (count < 1 || count > kMaxPieces) return -EINVAL;
  VnetHeader header;
  if (offload.partial_checksum) {
    header.flags = kNeedsChecksum;
    header.csum_start = offload.tcp_offset;
    header.csum_offset = kChecksumField;
  }
  if (offload.gso_size > 0) {
    header.gso_type = family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6;
    header.gso_size = offload.gso_size;
    header.hdr_len = offload.header_length;
  }
  std::array<iovec, kMaxPieces + 1> all;
  all[0] = {&header, sizeof header};
  std::copy_n(pieces, count, all.begin() + 1);
  ssize_t written;
  do {
    written = writev(fd_, all.data(), count + 1);
  } while (written < 0 && errno == EINTR);
  return written < 0 ? -errno : 0;
}

}  // namespace mptcptls
