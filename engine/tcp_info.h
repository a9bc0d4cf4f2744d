// TCP_INFO (tcp(7)) of what the engine carries, as `ss -ti` and programs of the kernel's MPTCP know
// it. A packet is what fits a full segment: the stack counts bytes.
#ifndef MPTCPTLS_ENGINE_TCP_INFO_H_
#define MPTCPTLS_ENGINE_TCP_INFO_H_

#include "engine/control.h"
#include "engine/kernel_info.h"
#include "engine/relay.h"
#include "stack/mptcp/connection.h"

namespace mptcptls {

kernel::TcpInfo ToTcpInfo(const SubflowInfo& subflow, Time now);
// Of a connection: of its first subflow that is not closed, as the kernel does; what is written and
// has not left is the stream's.
control::OptionReply TcpInfoOf(const Relay& relay, Time now);
// Of a listener, as the kernel says it: how many wait for accept(), and how many may.
kernel::TcpInfo ListenerTcpInfo(size_t waiting, int backlog);
control::OptionReply ToReply(const kernel::TcpInfo& info);

// Whole milliseconds since `then`, 0 where that never was.
uint32_t MillisecondsSince(Time then, Time now);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_TCP_INFO_H_
