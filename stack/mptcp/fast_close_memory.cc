#include "stack/mptcp/fast_close_memory.h"

#include <algorithm>

namespace mptcptls {

FastCloseMemory::FastCloseMemory(TimerQueue* timers)
    : timer_(timers, [this](Time now) { Expire(now); }) {}

void FastCloseMemory::Remember(Time now, const FourTuple& tuple, const FastClose& option) {
  const Time expires = now + kLifetime;
  entries_[tuple] = {Key(option.key), expires};
  order_.emplace_back(expires, tuple);
  // By `order_`, which is what grows when one tuple is told again and again.
  if (order_.size() > kMaxEntries) ForgetOldest();
  if (!timer_.armed()) timer_.Set(order_.front().first);
}

std::optional<FastClose> FastCloseMemory::Find(const FourTuple& tuple) const {
  const auto it = entries_.find(tuple);
  if (it == entries_.end()) return std::nullopt;
  FastClose option;
  std::ranges::copy(it->second.key.span(), option.key.begin());
  return option;
}

void FastCloseMemory::ForgetOldest() {
  const auto& [expires, tuple] = order_.front();
  const auto it = entries_.find(tuple);
  if (it != entries_.end() && it->second.expires == expires) entries_.erase(it);
  order_.pop_front();
}

void FastCloseMemory::Expire(Time now) {
  while (!order_.empty() && order_.front().first <= now) ForgetOldest();
  if (!order_.empty()) timer_.Set(order_.front().first);
}

}  // namespace mptcptls
