// Running packet dumps (`mptcptls dump`): each has a file, and lasts until the one who asked for it
// closes his control connection.
#ifndef MPTCPTLS_ENGINE_DUMPS_H_
#define MPTCPTLS_ENGINE_DUMPS_H_

#include <memory>
#include <vector>

#include "engine/descriptor.h"
#include "engine/event_loop.h"
#include "tun/capture_file.h"

namespace mptcptls {

class Dumps {
 public:
  static constexpr size_t kMaxDumps = 8;

  explicit Dumps(EventLoop* loop);
  ~Dumps();
  Dumps(const Dumps&) = delete;
  Dumps& operator=(const Dumps&) = delete;
  // `file` must be a regular one, so that writing never waits. False when too many run.
  bool Add(Descriptor asker, Descriptor file);
  bool empty() const { return dumps_.empty(); }
  void Write(CaptureFile::Direction direction, const iovec* pieces, int count,
             uint16_t tcp_offset_if_partial_checksum);
  void Sweep();  // ends those that failed or whose asker is gone; at the end of a batch

 private:
  class Dump;
  EventLoop* loop_;
  std::vector<std::unique_ptr<Dump>> dumps_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_DUMPS_H_
