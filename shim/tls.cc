// The hooks on OpenSSL: learns when a handshake is complete, takes the key that PROTOCOL.md 3
// names, and hands it to the engine under the client's random. Leaves errno, the error queue and
// the program's callbacks as they were.
#include "shim/tls.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/key_delivery.h"
#include "shim/real.h"
#include "shim/settings.h"
#include "shim/tls_library.h"

namespace mptcptls::shim {
namespace {

using InfoCallback = void (*)(const SSL*, int, int);

// Of one SSL object, kept in its ex_data as a number.
enum State : uintptr_t {
  kForeign = 0,      // not made by our SSL_new
  kWatched = 1,      // no handshake is complete yet
  kMarked = 2,       // TLS 1.2 completed one; the key is taken when the driving call returns
  kDone = 3,         // later ones may replace its key (PROTOCOL.md 8)
  kMarkedAgain = 4,  // TLS 1.2 completed a further one
};

State StateOf(const TlsLibrary& tls, const SSL* ssl) {
  return static_cast<State>(reinterpret_cast<uintptr_t>(tls.SSL_get_ex_data(ssl, tls.state_index)));
}

void SetState(const TlsLibrary& tls, SSL* ssl, State state) {
  tls.SSL_set_ex_data(ssl, tls.state_index, reinterpret_cast<void*>(state));
}

// OpenSSL's error queue as it was (FACTS.md: one entry too many breaks the program).
class ErrorQueueKeeper {
 public:
  explicit ErrorQueueKeeper(const TlsLibrary& tls) : tls_(tls) { tls_.ERR_set_mark(); }
  ~ErrorQueueKeeper() { tls_.ERR_pop_to_mark(); }
  ErrorQueueKeeper(const ErrorQueueKeeper&) = delete;
  ErrorQueueKeeper& operator=(const ErrorQueueKeeper&) = delete;

 private:
  const TlsLibrary& tls_;
  const ErrnoKeeper errno_;
};

void TakeKey(const TlsLibrary& tls, SSL* ssl) {
  const ErrorQueueKeeper keeper(tls);
  auto message = control::Make<control::KeyMessage>(control::Verb::kKey);
  message.later = StateOf(tls, ssl) == kMarkedAgain ? 1 : 0;
  SetState(tls, ssl, kDone);
  message.end = tls.SSL_is_server(ssl) != 0 ? control::TlsEnd::kServer : control::TlsEnd::kClient;
  if (tls.SSL_get_client_random(ssl, message.client_random, sizeof message.client_random) !=
      sizeof message.client_random)
    return;
  const int version = tls.SSL_version(ssl);
  if (version != TLS1_2_VERSION && version != TLS1_3_VERSION) {
    message.why_not = control::NoKey::kTlsTooOld;
  } else if (version == TLS1_2_VERSION &&
             tls.SSL_ctrl(ssl, SSL_CTRL_GET_EXTMS_SUPPORT, 0, nullptr) != 1) {
    message.why_not = control::NoKey::kNoExtendedMasterSecret;
  } else if (tls.SSL_export_keying_material(ssl, message.key, sizeof message.key, kExporterLabel,
                                            kExporterLabelLength, nullptr, 0, 0) != 1) {
    message.why_not = control::NoKey::kExporterFailed;
    explicit_bzero(message.key, sizeof message.key);
  } else {
    message.has_key = 1;
  }
  DeliverKey(&message, tls.SSL_get_rfd(ssl));
}

void OnHandshakeDone(const TlsLibrary& tls, SSL* ssl) {
  const State state = StateOf(tls, ssl);
  const int version = tls.SSL_version(ssl);
  if (state == kDone && version == TLS1_2_VERSION) return SetState(tls, ssl, kMarkedAgain);
  if (state != kWatched) return;
  if ((version & 0xff00) != 0x0300) return;  // DTLS runs on no TCP connection
  // A client that has sent early data is told the same before the server has said anything.
  if (tls.SSL_get_state != nullptr && tls.SSL_get_state(ssl) == TLS_ST_EARLY_DATA) return;
  if (version == TLS1_3_VERSION)
    TakeKey(tls, ssl);
  else
    SetState(tls, ssl, kMarked);  // Extended Master Secret cannot be asked for yet
}

void OnInfo(const SSL* ssl, int where, int value) {
  // The library itself calls, so its own address is on the stack.
  const TlsLibrary* const tls = TlsLibraryOf(__builtin_return_address(0));
  if (tls == nullptr || !tls->complete) return;
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) OnHandshakeDone(*tls, const_cast<SSL*>(ssl));
  auto theirs = reinterpret_cast<InfoCallback>(tls->SSL_get_ex_data(ssl, tls->callback_index));
  // An SSL without a callback of its own has its context's.
  if (theirs == nullptr) theirs = tls->SSL_CTX_get_info_callback(tls->SSL_get_SSL_CTX(ssl));
  if (theirs != nullptr) theirs(ssl, where, value);
}

void Watch(const TlsLibrary& tls, SSL* ssl) {
  const ErrorQueueKeeper keeper(tls);
  SetState(tls, ssl, kWatched);
  if (StateOf(tls, ssl) != kWatched) return;
  // SSL_new() took it from the context; it stays when the context is exchanged (SNI).
  tls.SSL_set_ex_data(ssl, tls.callback_index,
                      reinterpret_cast<void*>(tls.SSL_get_info_callback(ssl)));
  tls.SSL_set_info_callback(ssl, &OnInfo);
}

// After a call that may have driven a handshake to its end.
void AfterDriver(const TlsLibrary* tls, SSL* ssl) {
  if (ssl == nullptr || !tls->complete) return;
  const State state = StateOf(*tls, ssl);
  if ((state == kMarked || state == kMarkedAgain) && tls->SSL_in_init(ssl) == 0) TakeKey(*tls, ssl);
}

}  // namespace

bool TlsHooked() {
  static std::atomic<bool> seen{false};
  if (seen.load(std::memory_order_relaxed)) return true;
  // The program writes a key log: its keys come from there.
  if (Setting("MPTCPTLS_KEYLOG") != nullptr) return true;
  const ErrnoKeeper keeper;
  const auto is_tls = [](dl_phdr_info* object, size_t, void*) {
    return strstr(object->dlpi_name, "/libssl.so") != nullptr ||
                   strstr(object->dlpi_name, "/libgnutls.so") != nullptr
               ? 1
               : 0;
  };
  const bool found = dl_iterate_phdr(is_tls, nullptr) != 0;
  if (found) seen.store(true, std::memory_order_relaxed);
  return found;
}

}  // namespace mptcptls::shim

using mptcptls::shim::AfterDriver;
using mptcptls::shim::OnInfo;
using mptcptls::shim::StateOf;
using mptcptls::shim::TlsLibrary;
using mptcptls::shim::TlsLibraryOf;
using mptcptls::shim::Watch;

#define CALLERS_LIBRARY() TlsLibraryOf(__builtin_return_address(0))

MPTCPTLS_HOOK SSL* SSL_new(SSL_CTX* context) {
  const TlsLibrary* const tls = CALLERS_LIBRARY();
  if (tls == nullptr) return nullptr;
  SSL* const ssl = tls->SSL_new(context);
  if (ssl != nullptr && tls->complete && mptcptls::shim::Enabled()) Watch(*tls, ssl);
  return ssl;
}

MPTCPTLS_HOOK void SSL_set_info_callback(SSL* ssl, void (*callback)(const SSL*, int, int)) {
  const TlsLibrary* const tls = CALLERS_LIBRARY();
  if (tls == nullptr) return;
  if (ssl != nullptr && tls->complete && StateOf(*tls, ssl) != mptcptls::shim::kForeign)
    tls->SSL_set_ex_data(ssl, tls->callback_index, reinterpret_cast<void*>(callback));
  else
    tls->SSL_set_info_callback(ssl, callback);
}

MPTCPTLS_HOOK void (*SSL_get_info_callback(const SSL* ssl))(const SSL*, int, int) {
  const TlsLibrary* const tls = CALLERS_LIBRARY();
  if (tls == nullptr) return nullptr;
  const auto callback = tls->SSL_get_info_callback(ssl);
  if (callback != &OnInfo) return callback;
  return reinterpret_cast<mptcptls::shim::InfoCallback>(
      tls->SSL_get_ex_data(ssl, tls->callback_index));
}

// Makes the object ready for another connection, which has a key of its own.
MPTCPTLS_HOOK int SSL_clear(SSL* ssl) {
  const TlsLibrary* const tls = CALLERS_LIBRARY();
  if (tls == nullptr) return 0;
  const int result = tls->SSL_clear(ssl);
  if (ssl != nullptr && tls->complete && StateOf(*tls, ssl) != mptcptls::shim::kForeign)
    tls->SSL_set_ex_data(ssl, tls->state_index, reinterpret_cast<void*>(mptcptls::shim::kWatched));
  return result;
}

// A call that can drive a handshake: the library's own, then the key if it is due. SSL_get_error()
// looks at the result, errno and the error queue, which are kept.
#define MPTCPTLS_DRIVER(name, parameters, arguments) \
  MPTCPTLS_HOOK int name parameters {                \
    const TlsLibrary* const tls = CALLERS_LIBRARY(); \
    if (tls == nullptr) return -1;                   \
    const int result = tls->name arguments;          \
    AfterDriver(tls, ssl);                           \
    return result;                                   \
  }

MPTCPTLS_DRIVER(SSL_connect, (SSL * ssl), (ssl))
MPTCPTLS_DRIVER(SSL_accept, (SSL * ssl), (ssl))
MPTCPTLS_DRIVER(SSL_do_handshake, (SSL * ssl), (ssl))
MPTCPTLS_DRIVER(SSL_read, (SSL * ssl, void* bytes, int size), (ssl, bytes, size))
MPTCPTLS_DRIVER(SSL_peek, (SSL * ssl, void* bytes, int size), (ssl, bytes, size))
MPTCPTLS_DRIVER(SSL_write, (SSL * ssl, const void* bytes, int size), (ssl, bytes, size))
MPTCPTLS_DRIVER(SSL_read_ex, (SSL * ssl, void* bytes, size_t size, size_t* done),
                (ssl, bytes, size, done))
MPTCPTLS_DRIVER(SSL_peek_ex, (SSL * ssl, void* bytes, size_t size, size_t* done),
                (ssl, bytes, size, done))
MPTCPTLS_DRIVER(SSL_write_ex, (SSL * ssl, const void* bytes, size_t size, size_t* done),
                (ssl, bytes, size, done))
