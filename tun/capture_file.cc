#include "tun/capture_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace mptcptls {
namespace {

// draft-ietf-opsawg-pcapng: block types (4), their options, and the link type registry.
constexpr uint32_t kSectionHeader = 0x0A0D0D0A;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr uint16_t kLinkTypeRaw = 101;  // begins with an IPv4 or IPv6 header
constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kInterfaceName = 2;
constexpr uint16_t kTimestampResolution = 9;
constexpr uint16_t kPacketFlags = 2;
constexpr uint32_t kInbound = 1, kOutbound = 2;
constexpr uint32_t kSnapLength = 262144;
constexpr size_t kTcpChecksum = 16;

// Appends one block; the total length, which stands at both ends, is filled in by the destructor.
class Block {
 public:
  Block(std::vector<uint8_t>* out, uint32_t type) : out_(out), start_(out->size()) {
    Put(type);
    Put(uint32_t{0});
  }
  ~Block() {
    const auto length = static_cast<uint32_t>(out_->size() - start_ + sizeof(uint32_t));
    Put(length);
    std::memcpy(out_->data() + start_ + sizeof(uint32_t), &length, sizeof length);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  template <typename T>
  void Put(T value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    out_->insert(out_->end(), bytes, bytes + sizeof value);
  }
  void PutOption(uint16_t code, std::string_view value) {
    Put(code);
    Put(static_cast<uint16_t>(value.size()));
    out_->insert(out_->end(), value.begin(), value.end());
    Pad();
  }
  void Pad() {
    while ((out_->size() - start_) % 4 != 0) out_->push_back(0);
  }

 private:
  std::vector<uint8_t>* out_;
  size_t start_;
};

// RFC 1071 over [data, data + length), where the checksum field already holds the pseudo-header's
// sum.
uint16_t Checksum(const uint8_t* data, size_t length) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2)
    sum += static_cast<uint32_t>(data[i] << 8 | data[i + 1]);
  if (length % 2 != 0) sum += static_cast<uint32_t>(data[length - 1] << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

CaptureFile::CaptureFile(int fd) : fd_(fd) {
  {
    Block section(&buffer_, kSectionHeader);
    section.Put(kByteOrderMagic);
    section.Put(uint16_t{1});  // version 1.0
    section.Put(uint16_t{0});
    section.Put(~uint64_t{0});  // the section's length is not known
  }
  {
    Block interface(&buffer_, kInterfaceDescription);
    interface.Put(kLinkTypeRaw);
    interface.Put(uint16_t{0});
    interface.Put(kSnapLength);
    interface.PutOption(kInterfaceName, "mptcptls");
    interface.PutOption(kTimestampResolution, "\x09");  // 10^-9 seconds
    interface.PutOption(kEndOfOptions, "");
  }
  Flush();
}

CaptureFile::~CaptureFile() { close(fd_); }

bool CaptureFile::Write(int64_t wall_ns, Direction direction, const iovec* pieces, int count,
                        uint16_t tcp_offset_if_partial_checksum) {
  if (failed_) return false;
  size_t length = 0;
  for (int i = 0; i < count; ++i) length += pieces[i].iov_len;
  {
    Block packet(&buffer_, kEnhancedPacket);
    packet.Put(uint32_t{0});  // the interface
    packet.Put(static_cast<uint32_t>(static_cast<uint64_t>(wall_ns) >> 32));
    packet.Put(static_cast<uint32_t>(wall_ns));
    packet.Put(static_cast<uint32_t>(length));
    packet.Put(static_cast<uint32_t>(length));
    const size_t start = buffer_.size();
    for (int i = 0; i < count; ++i) {
      const auto* bytes = static_cast<const uint8_t*>(pieces[i].iov_base);
      buffer_.insert(buffer_.end(), bytes, bytes + pieces[i].iov_len);
    }
    const size_t tcp = tcp_offset_if_partial_checksum;
    if (tcp > 0 && tcp + kTcpChecksum + 2 <= length) {
      uint8_t* segment = buffer_.data() + start + tcp;
      const uint16_t sum = Checksum(segment, length - tcp);
      segment[kTcpChecksum] = static_cast<uint8_t>(sum >> 8);
      segment[kTcpChecksum + 1] = static_cast<uint8_t>(sum);
    }
    packet.Pad();
    packet.Put(kPacketFlags);
    packet.Put(static_cast<uint16_t>(sizeof(uint32_t)));
    packet.Put(direction == Direction::kIn ? kInbound : kOutbound);
    packet.PutOption(kEndOfOptions, "");
  }
  if (!Flush()) return false;
  ++packets_;
  return true;
}

bool CaptureFile::Flush() {
  for (size_t written = 0; written < buffer_.size() && !failed_;) {
    const ssize_t n = write(fd_, buffer_.data() + written, buffer_.size() - written);
    if (n > 0)
      written += static_cast<size_t>(n);
    else if (n == 0 || errno != EINTR)
      failed_ = true;  // half a block would make the rest of the file unreadable: stop here
  }
  buffer_.clear();
  return !failed_;
}

}  // namespace mptcptls
