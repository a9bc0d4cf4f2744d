// A file descriptor with an owner.
#ifndef MPTCPTLS_ENGINE_COMMAND_DESCRIPTOR_H_
#define MPTCPTLS_ENGINE_COMMAND_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace mptcptls::command {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_DESCRIPTOR_H_
