// Connections before their third ACK: which listener each belongs to, within bounds for the host
// and for each listener, so that a flood of SYNs at one leaves room for the others. What finds no
// room is answered by a SYN cookie (syn_cookie.h).
#ifndef MPTCPTLS_STACK_SYN_QUEUE_H_
#define MPTCPTLS_STACK_SYN_QUEUE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "stack/host.h"

namespace mptcptls {

class SynQueue {
 public:
  SynQueue(size_t limit, size_t limit_per_listener)
      : limit_(limit), limit_per_listener_(limit_per_listener) {}

  bool HasRoom(ListenerId listener) const {
    const auto it = of_listener_.find(listener);
    return half_open_.size() < limit_ &&
           (it == of_listener_.end() || it->second < limit_per_listener_);
  }
  void Add(uint64_t connection, ListenerId listener) {
    half_open_[connection] = listener;
    ++of_listener_[listener];
  }
  // Whose it was; nullopt: it is not in the queue.
  std::optional<ListenerId> Remove(uint64_t connection) {
    const auto it = half_open_.find(connection);
    if (it == half_open_.end()) return std::nullopt;
    const ListenerId listener = it->second;
    half_open_.erase(it);
    const auto count = of_listener_.find(listener);
    if (--count->second == 0) of_listener_.erase(count);
    return listener;
  }
  size_t size() const { return half_open_.size(); }
  // In order of creation.
  std::vector<uint64_t> Of(ListenerId listener) const {
    std::vector<uint64_t> connections;
    for (const auto& [connection, owner] : half_open_) {
      if (owner == listener) connections.push_back(connection);
    }
    return connections;
  }

 private:
  size_t limit_, limit_per_listener_;
  std::map<uint64_t, ListenerId> half_open_;
  std::map<ListenerId, size_t> of_listener_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_SYN_QUEUE_H_
