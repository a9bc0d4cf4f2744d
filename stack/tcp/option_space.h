// Who gets the 40 bytes of TCP options (RFC 9293 3.1), decided in one place. In this order:
//   1. What a SYN says (MSS, window scale, SACK permitted), and time stamps, which stay on every
//      segment once agreed upon (RFC 7323 3.2). Only an ACK that must carry a long ADD_ADDR goes
//      without (Subflow::SendBareAck).
//   2. On a pure ACK with something to report, one SACK block: the loss would not be known else.
//   3. Kind 30: bytes without their DSS mapping mean nothing (RFC 8684 3.3.1).
//   4. Further SACK blocks, the newest first (RFC 2018 4), as many as are left room for.
#ifndef MPTCPTLS_STACK_TCP_OPTION_SPACE_H_
#define MPTCPTLS_STACK_TCP_OPTION_SPACE_H_

#include <cstddef>

#include "stack/wire/tcp_options.h"

namespace mptcptls {

// Bytes that kind 30 may take beside `options`, of which neither SACK nor kind 30 is filled in yet.
size_t RoomForMptcp(const TcpOptions& options, bool pure_ack, bool has_holes);

// Takes SACK blocks off, the last one first, until everything fits.
void FitSackBlocks(TcpOptions* options);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_OPTION_SPACE_H_
