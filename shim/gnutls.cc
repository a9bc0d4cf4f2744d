// The hook on GnuTLS. gnutls_handshake() drives every handshake, also where it is finished within a
// gnutls_record_recv() (False Start, the server's early start): the library calls itself through
// its PLT, and so through us. Stateless: the session itself tells whether its first handshake is
// complete.
#include <string.h>

#include "shim/captured.h"
#include "shim/gnutls_library.h"
#include "shim/key_delivery.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

// No channel binding has this number: the answer tells only whether the first handshake is
// complete.
constexpr auto kNoChannelBinding = static_cast<gnutls_channel_binding_t>(0x4d505453);

// Whether the session's first handshake is complete: the peer's Finished is verified too, which a
// gnutls_handshake() that returned early by False Start has still before it.
bool Completed(const GnutlsLibrary& tls, gnutls_session_t session) {
  gnutls_datum_t unused{nullptr, 0};
  return tls.gnutls_session_channel_binding(session, kNoChannelBinding, &unused) !=
         GNUTLS_E_CHANNEL_BINDING_NOT_AVAILABLE;
}

// -1 where the program has a transport of its own: a pointer is never such a small number.
int DescriptorOf(const GnutlsLibrary& tls, gnutls_session_t session) {
  const auto pointer = reinterpret_cast<uintptr_t>(tls.gnutls_transport_get_ptr(session));
  return pointer <= INT32_MAX ? static_cast<int>(pointer) : -1;
}

// `again`: the session had completed a handshake before.
void TakeKey(const GnutlsLibrary& tls, gnutls_session_t session, bool again) {
  const ErrnoKeeper keeper;
  const gnutls_protocol_t version = tls.gnutls_protocol_get_version(session);
  if (version >= GNUTLS_DTLS_VERSION_MIN && version <= GNUTLS_DTLS_VERSION_MAX)
    return;  // DTLS runs on no TCP connection
  if (again && version != GNUTLS_TLS1_2) return;
  // `end` stays unknown: GnuTLS does not tell.
  auto message = control::Make<control::KeyMessage>(control::Verb::kKey);
  message.later = again ? 1 : 0;
  gnutls_datum_t client{nullptr, 0}, server{nullptr, 0};
  tls.gnutls_session_get_random(session, &client, &server);
  if (client.data == nullptr || client.size != sizeof message.client_random) return;
  memcpy(message.client_random, client.data, sizeof message.client_random);
  if (version != GNUTLS_TLS1_2 && version != GNUTLS_TLS1_3) {
    message.why_not = control::NoKey::kTlsTooOld;
  } else if (version == GNUTLS_TLS1_2 &&
             tls.gnutls_session_ext_master_secret_status(session) == 0) {
    message.why_not = control::NoKey::kNoExtendedMasterSecret;
  } else if (tls.gnutls_prf_rfc5705(session, kExporterLabelLength, kExporterLabel, 0, nullptr,
                                    sizeof message.key,
                                    reinterpret_cast<char*>(message.key)) != 0) {
    message.why_not = control::NoKey::kExporterFailed;
    explicit_bzero(message.key, sizeof message.key);
  } else {
    message.has_key = 1;
  }
  DeliverKey(&message, DescriptorOf(tls, session));
}

int Handshake(const GnutlsLibrary& tls, gnutls_session_t session) {
  const bool before = Completed(tls, session);
  const int result = tls.gnutls_handshake(session);
  if (result == GNUTLS_E_SUCCESS && Completed(tls, session)) TakeKey(tls, session, before);
  return result;
}

}  // namespace
}  // namespace mptcptls::shim

MPTCPTLS_HOOK int gnutls_handshake(gnutls_session_t session) {
  const mptcptls::shim::GnutlsLibrary* const tls =
      mptcptls::shim::GnutlsLibraryOf(__builtin_return_address(0));
  if (tls == nullptr || tls->gnutls_handshake == nullptr) return GNUTLS_E_INTERNAL_ERROR;
  if (!tls->complete || !mptcptls::shim::Enabled()) return tls->gnutls_handshake(session);
  return mptcptls::shim::Handshake(*tls, session);
}
