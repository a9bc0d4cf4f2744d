// What must hold of a connection at rest: the data level's sequence space (RFC 8684 3.3), and each
// subflow's own invariants. Simulation and fuzzers ask after every step.
#include "stack/mptcp/connection_impl.h"

namespace mptcptls {

std::string ConnectionImpl::CheckInvariants() const {
  for (const auto& path : paths_) {
    if (!path->subflow) continue;
    std::string wrong = path->subflow->CheckInvariants();
    if (!wrong.empty()) return path->tuple.local.ToString() + ": " + wrong;
  }
  if (closed_) return {};
  const std::string name = "connection " + std::to_string(id_) + ": ";
  if (una_ > next_) return name + "acknowledged beyond what was sent";
  if (next_ > send_.tail()) return name + "sent beyond what was written";
  if (send_.head() != una_)
    return name + "the send buffer does not begin at what is unacknowledged";
  // RFC 8684 3.3.5, with the one byte of a window probe.
  if (mptcp() && began_mptcp_ && next_ > peer_edge_ + 1) {
    return name + "sent beyond the peer's window";
  }
  if (mptcp()) {
    const std::string wrong = carriers_.CheckInvariants(una_, next_);
    if (!wrong.empty()) return name + wrong;
  }
  if (!reinject_.empty() && reinject_.front().second <= una_) {
    return name + "acknowledged data waits to be sent again";
  }
  return {};
}

}  // namespace mptcptls
