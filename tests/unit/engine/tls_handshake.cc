#include "tests/unit/engine/tls_handshake.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdexcept>

namespace mptcptls {
namespace {

void Need(bool good, const char* what) {
  if (good) return;
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  throw std::runtime_error(std::string(what) + ": " + text);
}

struct Delete {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
template <typename T>
using Owned = std::unique_ptr<T, Delete>;

void AddCertificate(SSL_CTX* context) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  Need(key && certificate, "key");
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  Need(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "certificate");
  Need(SSL_CTX_use_certificate(context, certificate.get()) == 1, "certificate");
  Need(SSL_CTX_use_PrivateKey(context, key.get()) == 1, "key");
}

// The same for every handshake, so that a session of one is known in the next.
SSL_CTX* ServerContext() {
  static const Owned<SSL_CTX> context = [] {
    Owned<SSL_CTX> made(SSL_CTX_new(TLS_server_method()));
    Need(made != nullptr, "context");
    AddCertificate(made.get());
    SSL_CTX_set_session_id_context(made.get(), reinterpret_cast<const uint8_t*>("test"), 4);
    return made;
  }();
  return context.get();
}

void Log(const SSL* ssl, const char* line) {
  static_cast<std::vector<std::string>*>(SSL_get_app_data(ssl))->emplace_back(line);
}

Owned<SSL> MakeEnd(SSL_CTX* context, const HandshakeOptions& options,
                   std::vector<std::string>* log) {
  SSL_CTX_set_keylog_callback(context, &Log);
  Owned<SSL> ssl(SSL_new(context));
  Need(ssl != nullptr, "session");
  SSL_set_app_data(ssl.get(), log);
  SSL_set_security_level(ssl.get(), 0);  // TLS 1.1
  SSL_set_min_proto_version(ssl.get(), options.version);
  SSL_set_max_proto_version(ssl.get(), options.version);
  if (!options.extended_master_secret) SSL_set_options(ssl.get(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
  if (!options.cipher.empty()) {
    Need((options.version == TLS1_3_VERSION
              ? SSL_set_ciphersuites(ssl.get(), options.cipher.c_str())
              : SSL_set_cipher_list(ssl.get(), options.cipher.c_str())) == 1,
         "cipher");
  }
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  Need(in != nullptr && out != nullptr, "memory");
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl.get(), in, out);
  return ssl;
}

// What `from` sent goes to the other end and into the record.
void Carry(SSL* from, SSL* to, bool by_client, Handshake* record) {
  std::vector<uint8_t> bytes(BIO_ctrl_pending(SSL_get_wbio(from)));
  if (bytes.empty()) return;
  const int size = static_cast<int>(bytes.size());
  Need(BIO_read(SSL_get_wbio(from), bytes.data(), size) == size, "read");
  Need(BIO_write(SSL_get_rbio(to), bytes.data(), size) == size, "write");
  if (record->flights.empty() || record->flights.back().by_client != by_client)
    record->flights.push_back({by_client, {}});
  auto& last = record->flights.back().bytes;
  last.insert(last.end(), bytes.begin(), bytes.end());
}

void Say(SSL* from, SSL* to, bool by_client, Handshake* record) {
  Need(SSL_write(from, "hello", 5) == 5, "write");
  Carry(from, to, by_client, record);
  char text[5];
  Need(SSL_read(to, text, sizeof text) == 5, "read");
}

ExporterKey Export(SSL* ssl) {
  ExporterKey key;
  constexpr char kLabel[] = "EXPORTER-MPTCP";
  Need(SSL_export_keying_material(ssl, key.data(), key.size(), kLabel, sizeof kLabel - 1, nullptr,
                                  0, 0) == 1,
       "export");
  return key;
}

std::string SessionOf(const SSL* ssl) {
  const SSL_SESSION* const session = SSL_get_session(ssl);
  std::string bytes(static_cast<size_t>(i2d_SSL_SESSION(session, nullptr)), '\0');
  auto* out = reinterpret_cast<uint8_t*>(bytes.data());
  i2d_SSL_SESSION(session, &out);
  return bytes;
}

}  // namespace

Handshake DoHandshake(const HandshakeOptions& options) {
  Handshake result;
  const Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  const Owned<SSL> client = MakeEnd(context.get(), options, &result.client_log);
  const Owned<SSL> server = MakeEnd(ServerContext(), options, &result.server_log);
  if (options.retry) {
    Need(SSL_set1_groups_list(client.get(), "X25519:P-256") == 1, "groups");
    Need(SSL_set1_groups_list(server.get(), "P-256") == 1, "groups");
  }
  if (!options.renewed.empty()) {
    const auto* in = reinterpret_cast<const uint8_t*>(options.renewed.data());
    const Owned<SSL_SESSION> session(
        d2i_SSL_SESSION(nullptr, &in, static_cast<long>(options.renewed.size())));
    Need(SSL_set_session(client.get(), session.get()) == 1, "resume");
  }
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  for (int i = 0;
       i < 10 && !(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get())); ++i) {
    SSL_do_handshake(client.get());
    Carry(client.get(), server.get(), true, &result);
    SSL_do_handshake(server.get());
    Carry(server.get(), client.get(), false, &result);
  }
  Need(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get()), "handshake");
  Say(client.get(), server.get(), true, &result);
  Say(server.get(), client.get(), false, &result);
  result.key = Export(client.get());
  Need(result.key == Export(server.get()), "the keys differ");
  SSL_get_client_random(client.get(), result.client_random.data(), result.client_random.size());
  result.session = SessionOf(client.get());
  result.resumed = SSL_session_reused(client.get()) == 1;
  return result;
}

}  // namespace mptcptls
