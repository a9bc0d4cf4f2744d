// How much a connection accepts from its program ahead of the peer's acknowledgements, as Linux's
// tcp_sndbuf_expand(): twice what its subflows can have on their way. So a connection that is slow
// or idle holds little, and one that is fast always finds the next window's worth.
#ifndef MPTCPTLS_STACK_MPTCP_SEND_TUNING_H_
#define MPTCPTLS_STACK_MPTCP_SEND_TUNING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mptcptls {

class SendTuning {
 public:
  static constexpr size_t kLeast = 65536;

  explicit SendTuning(size_t most) : most_(most), size_(std::min(kLeast, most)) {}

  size_t size() const { return size_; }
  // `window`: the congestion windows of all subflows together. In the middle of a loss it is small
  // while much has to be kept, so it is followed downwards only when nothing is (`idle`).
  void OnWindow(uint64_t window, bool idle) {
    const auto wanted =
        static_cast<size_t>(std::clamp<uint64_t>(2 * window, std::min(kLeast, most_), most_));
    size_ = idle ? wanted : std::max(size_, wanted);
  }
  // The program is woken for no less, so that it does not dribble.
  size_t worth_waking() const { return std::min(size_ / 4, kLeast); }

 private:
  size_t most_;
  size_t size_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_SEND_TUNING_H_
