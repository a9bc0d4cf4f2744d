// OpenSSL as the process has it loaded, once or several times.
#ifndef MPTCPTLS_SHIM_TLS_LIBRARY_H_
#define MPTCPTLS_SHIM_TLS_LIBRARY_H_

#include <openssl/err.h>
#include <openssl/ssl.h>

// OpenSSL's own functions, resolved at run time; its headers give the types alone.
// (clang-format shifts such a list further with every run.)
// clang-format off
#define MPTCPTLS_TLS_FUNCTIONS(X) \
  X(SSL_new) X(SSL_clear) X(SSL_set_info_callback) X(SSL_get_info_callback) X(SSL_connect) \
  X(SSL_accept) X(SSL_do_handshake) X(SSL_read) X(SSL_read_ex) X(SSL_write) \
  X(SSL_write_ex) X(SSL_peek) X(SSL_peek_ex) X(SSL_get_SSL_CTX) \
  X(SSL_CTX_get_info_callback) X(SSL_version) X(SSL_is_server) X(SSL_get_client_random) \
  X(SSL_export_keying_material) X(SSL_ctrl) X(SSL_in_init) X(SSL_get_rfd) \
  X(SSL_set_ex_data) X(SSL_get_ex_data) X(CRYPTO_get_ex_new_index) X(ERR_set_mark) \
  X(ERR_pop_to_mark)
// clang-format on

namespace mptcptls::shim {

struct TlsLibrary {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a name, not an expression
#define MPTCPTLS_MEMBER(name) decltype(&::name) name;
  MPTCPTLS_TLS_FUNCTIONS(MPTCPTLS_MEMBER)
#undef MPTCPTLS_MEMBER
  // nullptr where there is none (BoringSSL): such a library has no early end of a handshake either.
  decltype(&::SSL_get_state) SSL_get_state;
  // SSL_ex_data indices: the program's own callback, and our state of the handshake.
  int callback_index;
  int state_index;
  bool complete;  // everything was found; else the hooks only pass through
};

// Of the object that `caller` (a return address) belongs to; nullptr when it has none.
const TlsLibrary* TlsLibraryOf(const void* caller);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_TLS_LIBRARY_H_
