// A descriptor with one owner.
#ifndef MPTCPTLS_ENGINE_DESCRIPTOR_H_
#define MPTCPTLS_ENGINE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace mptcptls {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_DESCRIPTOR_H_
