// The answer to MptcpRequest (engine/control.h): what getsockopt(SOL_MPTCP) says of a captured
// socket, as the kernel says it of an MPTCP socket of its own.
#ifndef MPTCPTLS_ENGINE_MPTCP_ANSWER_H_
#define MPTCPTLS_ENGINE_MPTCP_ANSWER_H_

#include <cstdint>
#include <vector>

#include "engine/control.h"
#include "stack/mptcp/connection.h"

namespace mptcptls {

// A whole message: MptcpReply, and its subflows.
using MptcpMessage = std::vector<uint8_t>;

// `flags` of the request. A connection that is plain TCP, from the start or by fallback, is refused
// (ENOPROTOOPT); one that is not up yet is refused unless the program asked for MPTCP.
MptcpMessage MptcpAnswer(const ConnectionInfo& info, uint8_t flags, Time now);
// A listener at `local`: MPTCP if the program asked for it.
MptcpMessage MptcpListenerAnswer(const Endpoint& local, const kernel::TcpInfo& tcp, uint8_t flags);
MptcpMessage MptcpRefusal();

// Did the connection begin as MPTCP? An accepted one that did not is an IPPROTO_TCP socket.
bool BeganAsMptcp(const ConnectionInfo& info);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_MPTCP_ANSWER_H_
