// Which subflows a connection may have and wants: what `ip mptcp limits` and the flags of `ip mptcp
// endpoint` say to the kernel. A host has one policy; what one uplink is for is said with its
// address (LocalAddress in host.h).
#ifndef MPTCPTLS_STACK_MPTCP_PATH_POLICY_H_
#define MPTCPTLS_STACK_MPTCP_PATH_POLICY_H_

#include <cstddef>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

enum class UplinkUse : uint8_t {
  kNormal,
  kBackup,   // carries data only when no other path is left (RFC 8684 3.3.8)
  kMetered,  // as a backup, and a subflow is opened there only then
};

struct PathPolicy {
  size_t max_subflows = 8;   // of one connection, whoever opened them
  size_t max_addresses = 8;  // of the peer's, by ADD_ADDR; 0: none is taken
  // A subflow for each pair of addresses; else as many as give each uplink and each address of the
  // peer one.
  bool full_mesh = false;
  bool announce = true;      // our addresses, as responder
  bool accept_joins = true;  // else they are refused, and MP_CAPABLE says so (flag C)
  Duration hold = std::chrono::seconds(60);  // without any path; then the connection has timed out
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_PATH_POLICY_H_
