// GnuTLS as the process has it loaded, once or several times.
#ifndef MPTCPTLS_SHIM_GNUTLS_LIBRARY_H_
#define MPTCPTLS_SHIM_GNUTLS_LIBRARY_H_

#include <gnutls/gnutls.h>

// GnuTLS's own functions, resolved at run time; its header gives the types alone.
// clang-format off
#define MPTCPTLS_GNUTLS_FUNCTIONS(X) \
  X(gnutls_handshake) X(gnutls_protocol_get_version) X(gnutls_session_channel_binding) \
  X(gnutls_session_get_random) X(gnutls_session_ext_master_secret_status) \
  X(gnutls_prf_rfc5705) X(gnutls_transport_get_ptr) X(gnutls_check_version)
// clang-format on

namespace mptcptls::shim {

struct GnutlsLibrary {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a name, not an expression
#define MPTCPTLS_MEMBER(name) decltype(&::name) name;
  MPTCPTLS_GNUTLS_FUNCTIONS(MPTCPTLS_MEMBER)
#undef MPTCPTLS_MEMBER
  bool complete;  // everything was found; else the hook only passes through
};

// Of the object that `caller` (a return address) belongs to; nullptr when it has none.
const GnutlsLibrary* GnutlsLibraryOf(const void* caller);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_GNUTLS_LIBRARY_H_
