// A pcapng writer (libpcap and libtins write none): section header, one raw-IP interface, enhanced
// packet blocks with direction flags and nanosecond timestamps. Sources: draft-ietf-opsawg-pcapng.
#ifndef MPTCPTLS_TUN_CAPTURE_FILE_H_
#define MPTCPTLS_TUN_CAPTURE_FILE_H_

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

class CaptureFile {
 public:
  enum class Direction { kIn, kOut };
  // Takes ownership of `fd` (a file opened by the one who asked for the dump, with his rights).
  explicit CaptureFile(int fd);
  ~CaptureFile();
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;

  // One IP packet in pieces, stamped with wall-clock nanoseconds since 1970. Partial checksums are
  // completed in the copy (offset > 0), so that Wireshark does not complain. Returns false once
  // writing failed (disk full, reader gone); nothing is written from then on. The process must
  // ignore SIGPIPE when `fd` may be a pipe.
  bool Write(int64_t wall_ns, Direction direction, const iovec* pieces, int count,
             uint16_t tcp_offset_if_partial_checksum);
  uint64_t packets() const { return packets_; }

 private:
  bool Flush();  // writes out buffer_

  int fd_;
  std::vector<uint8_t> buffer_;  // the block being written; kept to allocate but once
  bool failed_ = false;
  uint64_t packets_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_CAPTURE_FILE_H_
