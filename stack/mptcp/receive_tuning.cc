#include "stack/mptcp/receive_tuning.h"

#include <utility>

namespace mptcptls {

void ReceiveTuning::OnRead(Time now, size_t bytes, Duration rtt, bool may_grow) {
  if (since_ == kNever) since_ = now;
  read_ += bytes;
  if (rtt == Duration::zero()) return;
  const Duration passed = now - since_;
  if (passed < rtt) {
    // More than ever before, already.
    if (read_ > most_read_ && may_grow) Grow(read_);
    return;
  }
  since_ = now;
  // A program that reads a lot now and then is slow all the same.
  const double rounds = static_cast<double>(passed.count()) / static_cast<double>(rtt.count());
  const auto read = static_cast<size_t>(static_cast<double>(std::exchange(read_, 0)) / rounds);
  if (read <= most_read_) return;
  if (may_grow) Grow(read);
  most_read_ = read;
}

// Twice what was read, and something for losses. A sender in slow start is ahead of that by the
// time it hears of it, so its growth counts twice.
void ReceiveTuning::Grow(size_t read) {
  const double wanted = 2.0 * static_cast<double>(read) + 16.0 * kSegment;
  const double growth = static_cast<double>(read - most_read_) / static_cast<double>(most_read_);
  const double size = std::min(wanted + 2 * wanted * growth, static_cast<double>(most_));
  size_ = std::max(size_, static_cast<size_t>(size));
}

}  // namespace mptcptls
