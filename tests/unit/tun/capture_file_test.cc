#include "tun/capture_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <tins/tins.h>
#include <unistd.h>

#include <cstdlib>

namespace mptcptls {
namespace {

// A file of a test, gone with it.
class TemporaryFile {
 public:
  TemporaryFile() : fd_(mkostemp(path_, O_CLOEXEC)) {}
  ~TemporaryFile() { unlink(path_); }
  int fd() const { return fd_; }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/capture_test.XXXXXX";
  int fd_;
};

Tins::IP Packet(size_t payload) {
  Tins::IP ip = Tins::IP("192.0.2.2", "192.0.2.1") / Tins::TCP(443, 61000) /
                Tins::RawPDU(std::string(payload, 'x'));
  return ip;
}

TEST(CaptureFile, LibpcapReadsItBack) {
  TemporaryFile file;
  std::vector<uint8_t> v4 = Packet(1401).serialize();
  Tins::IPv6 six = Tins::IPv6("fd01::2", "fd01::1") / Tins::TCP(443, 61001);
  std::vector<uint8_t> v6 = six.serialize();
  {
    CaptureFile capture(file.fd());
    const iovec pieces[] = {{v4.data(), 40}, {v4.data() + 40, v4.size() - 40}};
    EXPECT_TRUE(
        capture.Write(1'700'000'000'123'456'789, CaptureFile::Direction::kOut, pieces, 2, 0));
    const iovec whole{v6.data(), v6.size()};
    EXPECT_TRUE(
        capture.Write(1'700'000'001'000'000'000, CaptureFile::Direction::kIn, &whole, 1, 0));
    EXPECT_EQ(capture.packets(), 2u);
  }
  Tins::FileSniffer sniffer(file.path());
  Tins::Packet first = sniffer.next_packet();
  ASSERT_NE(first.pdu(), nullptr);
  EXPECT_EQ(first.pdu()->serialize(), v4);
  EXPECT_EQ(first.timestamp().seconds(), 1'700'000'000);
  EXPECT_EQ(first.timestamp().microseconds(), 123'456);
  Tins::Packet second = sniffer.next_packet();
  ASSERT_NE(second.pdu(), nullptr);
  EXPECT_EQ(second.pdu()->rfind_pdu<Tins::IPv6>().src_addr(), Tins::IPv6Address("fd01::1"));
  EXPECT_EQ(second.pdu()->rfind_pdu<Tins::TCP>().sport(), 61001);
  EXPECT_EQ(sniffer.next_packet().pdu(), nullptr);
}

TEST(CaptureFile, CompletesAPartialChecksumInTheCopyOnly) {
  for (size_t payload : {0, 1, 1400, 60001}) {
    TemporaryFile file;
    const std::vector<uint8_t> right = Packet(payload).serialize();  // libtins computes it
    std::vector<uint8_t> partial = right;
    uint32_t sum = Tins::Utils::pseudoheader_checksum(
        Tins::IPv4Address("192.0.2.1"), Tins::IPv4Address("192.0.2.2"),
        static_cast<uint16_t>(partial.size() - 20), IPPROTO_TCP);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    partial[36] = static_cast<uint8_t>(sum);  // libtins sums little-endian words
    partial[37] = static_cast<uint8_t>(sum >> 8);
    const std::vector<uint8_t> before = partial;
    {
      CaptureFile capture(file.fd());
      const iovec whole{partial.data(), partial.size()};
      EXPECT_TRUE(capture.Write(0, CaptureFile::Direction::kOut, &whole, 1, 20));
    }
    EXPECT_EQ(partial, before);
    Tins::FileSniffer sniffer(file.path());
    Tins::Packet packet = sniffer.next_packet();
    ASSERT_NE(packet.pdu(), nullptr);
    EXPECT_EQ(packet.pdu()->rfind_pdu<Tins::TCP>().checksum(), right[36] << 8 | right[37])
        << payload;
  }
}

TEST(CaptureFile, OffsetBeyondThePacketIsNoChecksum) {
  TemporaryFile file;
  std::vector<uint8_t> packet = Packet(0).serialize();
  CaptureFile capture(file.fd());
  const iovec whole{packet.data(), packet.size()};
  EXPECT_TRUE(capture.Write(0, CaptureFile::Direction::kIn, &whole, 1, 30));
}

TEST(CaptureFile, AFullDiskEndsIt) {
  CaptureFile capture(open("/dev/full", O_WRONLY | O_CLOEXEC));
  std::vector<uint8_t> packet = Packet(10).serialize();
  const iovec whole{packet.data(), packet.size()};
  EXPECT_FALSE(capture.Write(0, CaptureFile::Direction::kIn, &whole, 1, 0));
  EXPECT_EQ(capture.packets(), 0u);
}

}  // namespace
}  // namespace mptcptls
