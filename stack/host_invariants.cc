// What must hold of a host at rest: of each connection, and of the tables around them.
#include "stack/host_impl.h"

namespace mptcptls {

std::string HostImpl::CheckInvariants() const {
  for (const auto& [id, connection] : connections_) {
    std::string wrong = connection->CheckInvariants();
    if (!wrong.empty()) return wrong;
  }
  if (connections_.size() > config_.max_connections) return "more connections than are allowed";
  if (blocks_.in_use() > config_.max_blocks) return "more blocks than there are";
  if (early_.used() > config_.max_early) return "more early bytes than are allowed";
  // A SYN that ends a TIME-WAIT has its room from there.
  if (syn_queue_.size() > config_.max_syn_queue + config_.max_time_waits) {
    return "more half-open connections than allowed";
  }
  return {};
}

}  // namespace mptcptls
