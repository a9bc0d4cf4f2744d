// Single numbers that socket calls ask for and that a connection's state answers, not the options
// of its kernel socket.
#ifndef MPTCPTLS_ENGINE_STREAM_NUMBERS_H_
#define MPTCPTLS_ENGINE_STREAM_NUMBERS_H_

#include <optional>

#include "engine/control.h"
#include "engine/relay.h"

namespace mptcptls {

// TCP_MAXSEG, IP_MTU and IPV6_MTU, in bytes, of the first subflow that lives; nullopt for any other
// option, and where there is no such subflow.
std::optional<int> NumberOfPath(const Relay* relay, const control::OptionRequest& request,
                                Time now);

// SIOCOUTQ (`request`): bytes, and a DATA_FIN, that the program wrote and the peer's data level has
// not acknowledged. SIOCOUTQNSD: bytes that have not left for the first time. 0 before the
// connection is up and when it is over.
int BytesOnTheirWay(const Relay* relay, int request, Time now);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_STREAM_NUMBERS_H_
