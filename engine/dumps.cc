#include "engine/dumps.h"

#include <sys/stat.h>

#include <ctime>
#include <utility>

namespace mptcptls {

class Dumps::Dump final : public EventHandler {
 public:
  Dump(EventLoop* loop, Descriptor asker, Descriptor file)
      : loop_(loop), asker_(std::move(asker)), file_(file.Release()) {
    loop_->Add(asker_.get(), EPOLLIN | EPOLLRDHUP, this);
  }
  ~Dump() override { loop_->Remove(asker_.get(), this); }
  Dump(const Dump&) = delete;
  Dump& operator=(const Dump&) = delete;

  // Whatever it says: nothing is expected but the end.
  void OnEvents(uint32_t /*events*/) override { over_ = true; }

  void Write(int64_t now, CaptureFile::Direction direction, const iovec* pieces, int count,
             uint16_t tcp_offset) {
    if (!over_ && !file_.Write(now, direction, pieces, count, tcp_offset)) over_ = true;
  }
  bool over() const { return over_; }

 private:
  EventLoop* loop_;
  Descriptor asker_;
  CaptureFile file_;
  bool over_ = false;
};

Dumps::Dumps(EventLoop* loop) : loop_(loop) {}
Dumps::~Dumps() = default;

bool Dumps::Add(Descriptor asker, Descriptor file) {
  struct stat about {};
  if (dumps_.size() >= kMaxDumps || fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode))
    return false;
  dumps_.push_back(std::make_unique<Dump>(loop_, std::move(asker), std::move(file)));
  return true;
}

void Dumps::Write(CaptureFile::Direction direction, const iovec* pieces, int count,
                  uint16_t tcp_offset_if_partial_checksum) {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  const int64_t now = t.tv_sec * int64_t{1000000000} + t.tv_nsec;
  for (const auto& dump : dumps_)
    dump->Write(now, direction, pieces, count, tcp_offset_if_partial_checksum);
}

void Dumps::Sweep() {
  std::erase_if(dumps_, [](const auto& dump) { return dump->over(); });
}

}  // namespace mptcptls
