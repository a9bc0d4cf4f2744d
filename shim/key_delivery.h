// Hands what a TLS handshake gave to the engine, whichever TLS library it was.
#ifndef MPTCPTLS_SHIM_KEY_DELIVERY_H_
#define MPTCPTLS_SHIM_KEY_DELIVERY_H_

#include "engine/control.h"

namespace mptcptls::shim {

// What both ends export (PROTOCOL.md 3), without a context.
inline constexpr char kExporterLabel[] = "EXPORTER-MPTCP";
inline constexpr size_t kExporterLabelLength = sizeof kExporterLabel - 1;

// `fd`: the descriptor under the TLS session, or anything else where it is not known. It goes along
// when it is a captured one: that proves whose connection it is; without it, our uid has to do.
// Wipes the message.
void DeliverKey(control::KeyMessage* message, int fd);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_KEY_DELIVERY_H_
