// The hook on OpenSSL, with the system's libssl at both ends of two memory BIOs: this binary's
// SSL_connect() and the others are the shim's, and an engine that the test plays gets the keys.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/shim/fake_engine.h"

namespace mptcptls::shim {
namespace {

using Key = std::vector<uint8_t>;

struct Delete {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
template <typename T>
using Owned = std::unique_ptr<T, Delete>;

void Need(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

void AddCertificate(SSL_CTX* context) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  Need(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "a certificate");
  Need(SSL_CTX_use_certificate(context, certificate.get()) == 1, "to use it");
  Need(SSL_CTX_use_PrivateKey(context, key.get()) == 1, "its key");
}

int TakeAnyCertificate(int /*good*/, X509_STORE_CTX* /*chain*/) { return 1; }

// A client's and a server's context, each with a certificate.
struct Contexts {
  explicit Contexts(int version)
      : client(SSL_CTX_new(TLS_client_method())), server(SSL_CTX_new(TLS_server_method())) {
    for (SSL_CTX* context : {client.get(), server.get()}) {
      AddCertificate(context);
      SSL_CTX_set_min_proto_version(context, version);
      SSL_CTX_set_max_proto_version(context, version);
    }
    SSL_CTX_set_session_id_context(server.get(), reinterpret_cast<const uint8_t*>("test"), 4);
  }
  Owned<SSL_CTX> client, server;
};

// Two ends; what one writes waits in a memory BIO for the other.
struct Pair {
  explicit Pair(const Contexts& contexts)
      : client(SSL_new(contexts.client.get())), server(SSL_new(contexts.server.get())) {
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
    Join();
  }
  void Join() const {
    BIO* const up = BIO_new(BIO_s_mem());
    BIO* const down = BIO_new(BIO_s_mem());
    for (BIO* bio : {up, down}) {
      BIO_set_mem_eof_return(bio, -1);
      BIO_up_ref(bio);
    }
    SSL_set_bio(client.get(), down, up);
    SSL_set_bio(server.get(), up, down);
  }
  Owned<SSL> client, server;
};

// How a program drives a handshake: called again and again, at either end.
struct Driver {
  const char* name;
  std::function<void(SSL*)> drive;
};

const Driver kDrivers[] = {
    {"do_handshake", [](SSL* ssl) { SSL_do_handshake(ssl); }},
    {"connect_accept",
     [](SSL* ssl) { SSL_is_server(ssl) != 0 ? SSL_accept(ssl) : SSL_connect(ssl); }},
    {"read_write",
     [](SSL* ssl) {
       char byte = 'x';
       SSL_is_server(ssl) != 0 ? SSL_read(ssl, &byte, 1) : SSL_write(ssl, &byte, 1);
     }},
    {"read_write_ex",
     [](SSL* ssl) {
       char byte = 'x';
       size_t done = 0;
       SSL_is_server(ssl) != 0 ? SSL_read_ex(ssl, &byte, 1, &done)
                               : SSL_write_ex(ssl, &byte, 1, &done);
     }},
    {"peek",
     [](SSL* ssl) {
       char byte = 'x';
       SSL_is_server(ssl) != 0 ? SSL_peek(ssl, &byte, 1) : SSL_write(ssl, &byte, 1);
     }},
};

bool Done(const Pair& pair) {
  return SSL_in_init(pair.client.get()) == 0 && SSL_in_init(pair.server.get()) == 0;
}

void Handshake(const Pair& pair, const Driver& driver = kDrivers[0]) {
  for (int i = 0; i < 10; ++i) {
    driver.drive(pair.client.get());
    driver.drive(pair.server.get());
  }
  ERR_clear_error();
  Need(Done(pair), "the handshake does not end");
}

// What is under way, tickets and requests for certificates among it, is taken in.
void Talk(const Pair& pair) {
  for (int i = 0; i < 4; ++i) {
    for (auto [from, to] : {std::pair(pair.server.get(), pair.client.get()),
                            std::pair(pair.client.get(), pair.server.get())}) {
      char byte = 'x';
      Need(SSL_write(from, &byte, 1) == 1, "to write");
      // A message of the handshake makes a call return.
      for (int again = 0; SSL_read(to, &byte, 1) != 1; ++again) Need(again < 5, "to read");
    }
  }
  ERR_clear_error();
}

Key Exported(SSL* ssl) {
  Key key(16);
  Need(SSL_export_keying_material(ssl, key.data(), key.size(), "EXPORTER-MPTCP",
                                  strlen("EXPORTER-MPTCP"), nullptr, 0, 0) == 1,
       "to export");
  return key;
}

// A session to resume, and the key that it had.
Owned<SSL_SESSION> SessionOf(const Contexts& contexts, Key* key) {
  const Pair pair(contexts);
  Handshake(pair);
  Talk(pair);
  *key = Exported(pair.client.get());
  // Without it the session would count as broken off.
  for (SSL* ssl : {pair.client.get(), pair.server.get()})
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return Owned<SSL_SESSION>(SSL_get1_session(pair.client.get()));
}

Key RandomOf(SSL* ssl) {
  Key random(32);
  SSL_get_client_random(ssl, random.data(), random.size());
  return random;
}

Key KeyOf(const control::KeyMessage& message) {
  return {std::begin(message.key), std::end(message.key)};
}

// One message of each end, with the exporter's key under the session's random.
void ExpectKeys(const std::vector<control::KeyMessage>& keys, const Pair& pair) {
  std::vector<control::TlsEnd> ends;
  for (const control::KeyMessage& key : keys) {
    if (Key(std::begin(key.client_random), std::end(key.client_random)) !=
        RandomOf(pair.client.get()))
      continue;
    ends.push_back(key.end);
    EXPECT_EQ(key.has_key, 1);
    EXPECT_EQ(key.later, 0);
    EXPECT_EQ(KeyOf(key), Exported(pair.client.get()));
    EXPECT_EQ(KeyOf(key), Exported(pair.server.get()));
  }
  std::sort(ends.begin(), ends.end());
  EXPECT_EQ(ends, (std::vector{control::TlsEnd::kClient, control::TlsEnd::kServer}));
}

class OpensslVersions : public testing::TestWithParam<int> {
 protected:
  Contexts contexts_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Tls, OpensslVersions, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return std::string(version.param == TLS1_2_VERSION ? "v1_2" : "v1_3");
                         });

TEST_P(OpensslVersions, EveryDriverGivesOneKeyAtEachEnd) {
  for (const Driver& driver : kDrivers) {
    SCOPED_TRACE(driver.name);
    FakeEngine engine;
    const Pair pair(contexts_);
    Handshake(pair, driver);
    ExpectKeys(engine.AwaitKeys(2), pair);
  }
}

TEST_P(OpensslVersions, ResumedSessionsGiveFreshKeys) {
  FakeEngine engine;
  Key first;
  const Owned<SSL_SESSION> session = SessionOf(contexts_, &first);
  const Pair pair(contexts_);
  SSL_set_session(pair.client.get(), session.get());
  Handshake(pair);
  ASSERT_EQ(SSL_session_reused(pair.client.get()), 1);
  EXPECT_NE(Exported(pair.client.get()), first);
  ExpectKeys(engine.AwaitKeys(4), pair);
}

TEST_P(OpensslVersions, ClientCertificatesChangeNothing) {
  SSL_CTX_set_verify(contexts_.server.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     &TakeAnyCertificate);
  FakeEngine engine;
  const Pair pair(contexts_);
  Handshake(pair);
  EXPECT_NE(SSL_get0_peer_certificate(pair.server.get()), nullptr);
  ExpectKeys(engine.AwaitKeys(2), pair);
}

TEST_P(OpensslVersions, AClearedObjectGivesTheNextConnectionsKey) {
  FakeEngine engine;
  Pair pair(contexts_);
  Handshake(pair);
  const Key first = Exported(pair.client.get());
  for (SSL* ssl : {pair.client.get(), pair.server.get()}) {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ASSERT_EQ(SSL_clear(ssl), 1);
  }
  pair.Join();
  Handshake(pair);
  EXPECT_NE(Exported(pair.client.get()), first);
  ExpectKeys(engine.AwaitKeys(4), pair);
}

TEST_P(OpensslVersions, AnObjectFreedAmidItsHandshakeGivesNone) {
  FakeEngine engine;
  {
    const Pair pair(contexts_);
    SSL_do_handshake(pair.client.get());
    SSL_do_handshake(pair.server.get());
    ERR_clear_error();
  }
  const Pair pair(contexts_);
  Handshake(pair);
  ExpectKeys(engine.AwaitKeys(2), pair);
}

TEST_P(OpensslVersions, AFailedHandshakeGivesNone) {
  FakeEngine engine;
  {
    SSL_CTX_set_verify(contexts_.client.get(), SSL_VERIFY_PEER, nullptr);
    const Pair pair(contexts_);
    for (int i = 0; i < 4; ++i) {
      SSL_do_handshake(pair.client.get());
      SSL_do_handshake(pair.server.get());
    }
    ERR_clear_error();
    ASSERT_NE(SSL_get_verify_result(pair.client.get()), X509_V_OK);
    SSL_CTX_set_verify(contexts_.client.get(), SSL_VERIFY_NONE, nullptr);
  }
  const Pair pair(contexts_);
  Handshake(pair);
  // The server of TLS 1.3 was not done either: its client never said Finished.
  ExpectKeys(engine.AwaitKeys(2), pair);
}

// SSL_get_error() and the program look at both.
TEST_P(OpensslVersions, ErrnoAndErrorQueueAreKept) {
  FakeEngine engine;
  const Pair pair(contexts_);
  const auto drive = [](SSL* ssl) {
    const int result = SSL_do_handshake(ssl);
    if (result == 1) {
      EXPECT_EQ(errno, 0) << "OpenSSL's own, at the beginning of each call";
    } else {
      EXPECT_EQ(SSL_get_error(ssl, result), SSL_ERROR_WANT_READ);
    }
    EXPECT_EQ(ERR_peek_error(), 0u);
    return result;
  };
  errno = ENOTTY;
  for (int i = 0; i < 4; ++i) {
    drive(pair.client.get());
    drive(pair.server.get());
  }
  ASSERT_TRUE(Done(pair));
  ExpectKeys(engine.AwaitKeys(2), pair);
}

int calls_of_theirs = 0;
void Theirs(const SSL* /*ssl*/, int where, int /*value*/) {
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) ++calls_of_theirs;
}

TEST_P(OpensslVersions, TheProgramsOwnCallbackIsCalled) {
  FakeEngine engine;
  calls_of_theirs = 0;
  SSL_CTX_set_info_callback(contexts_.server.get(), &Theirs);
  const Pair pair(contexts_);
  SSL_set_info_callback(pair.client.get(), &Theirs);
  EXPECT_EQ(SSL_get_info_callback(pair.client.get()), &Theirs);
  Handshake(pair);
  EXPECT_EQ(calls_of_theirs, 2);
  ExpectKeys(engine.AwaitKeys(2), pair);
}

// ---- Of one version

TEST(Openssl, NoExtendedMasterSecretNoKey) {
  const Contexts contexts(TLS1_2_VERSION);
  SSL_CTX_set_options(contexts.client.get(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
  FakeEngine engine;
  const Pair pair(contexts);
  Handshake(pair);
  const auto keys = engine.AwaitKeys(2);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 0);
    EXPECT_EQ(key.why_not, control::NoKey::kNoExtendedMasterSecret);
    EXPECT_EQ(KeyOf(key), Key(16));
  }
}

TEST(Openssl, TooOldATlsGivesNoKey) {
  const Contexts contexts(TLS1_1_VERSION);
  for (SSL_CTX* context : {contexts.client.get(), contexts.server.get()})
    SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0");
  FakeEngine engine;
  const Pair pair(contexts);
  Handshake(pair);
  const auto keys = engine.AwaitKeys(2);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 0);
    EXPECT_EQ(key.why_not, control::NoKey::kTlsTooOld);
  }
}

// FACTS.md: asked too early, after a HelloRetryRequest, the exporter gives a wrong key.
TEST(Openssl, AHelloRetryRequestMakesNoOtherKey) {
  const Contexts contexts(TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(contexts.client.get(), "X25519:P-256");
  SSL_CTX_set1_groups_list(contexts.server.get(), "P-256");
  FakeEngine engine;
  const Pair pair(contexts);
  Handshake(pair);
  ExpectKeys(engine.AwaitKeys(2), pair);
}

TEST(Openssl, RenegotiationGivesALaterKey) {
  const Contexts contexts(TLS1_2_VERSION);
  SSL_CTX_set_options(contexts.server.get(), SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
  FakeEngine engine;
  const Pair pair(contexts);
  Handshake(pair);
  ExpectKeys(engine.AwaitKeys(2), pair);
  ASSERT_EQ(SSL_renegotiate(pair.client.get()), 1);
  Handshake(pair, kDrivers[2]);
  const auto keys = engine.AwaitKeys(4);
  ASSERT_EQ(keys.size(), 4u);
  int later = 0;
  for (const control::KeyMessage& key : keys) {
    if (key.later == 0) continue;
    ++later;
    EXPECT_EQ(KeyOf(key), Exported(pair.client.get()));
    EXPECT_EQ(KeyOf(key), Exported(pair.server.get()));
  }
  EXPECT_EQ(later, 2);
}

TEST(Openssl, PostHandshakeAuthenticationAndKeyUpdateGiveNone) {
  const Contexts contexts(TLS1_3_VERSION);
  SSL_CTX_set_post_handshake_auth(contexts.client.get(), 1);
  FakeEngine engine;
  const Pair pair(contexts);
  Handshake(pair);
  Talk(pair);
  SSL_set_verify(pair.server.get(), SSL_VERIFY_PEER, &TakeAnyCertificate);
  ASSERT_EQ(SSL_verify_client_post_handshake(pair.server.get()), 1);
  SSL_do_handshake(pair.server.get());
  ASSERT_EQ(SSL_key_update(pair.client.get(), SSL_KEY_UPDATE_REQUESTED), 1);
  Talk(pair);
  ASSERT_NE(SSL_get0_peer_certificate(pair.server.get()), nullptr);
  const Pair next(contexts);
  Handshake(next);
  const auto keys = engine.AwaitKeys(4);
  ASSERT_EQ(keys.size(), 4u);
  ExpectKeys(keys, pair);
  ExpectKeys(keys, next);
}

// Never the early exporter's.
TEST(Openssl, EarlyDataChangesNothing) {
  const Contexts contexts(TLS1_3_VERSION);
  SSL_CTX_set_max_early_data(contexts.server.get(), 1000);
  FakeEngine engine;
  Key first;
  const Owned<SSL_SESSION> session = SessionOf(contexts, &first);
  const Pair pair(contexts);
  SSL_set_session(pair.client.get(), session.get());
  size_t done = 0;
  ASSERT_EQ(SSL_write_early_data(pair.client.get(), "early", 5, &done), 1);
  char bytes[5];
  ASSERT_EQ(SSL_read_early_data(pair.server.get(), bytes, sizeof bytes, &done),
            SSL_READ_EARLY_DATA_SUCCESS);
  EXPECT_EQ(std::string(bytes, done), "early");
  for (int i = 0; i < 4; ++i) {
    SSL_do_handshake(pair.client.get());
    SSL_read_early_data(pair.server.get(), bytes, sizeof bytes, &done);
  }
  Handshake(pair);
  ASSERT_EQ(SSL_get_early_data_status(pair.server.get()), SSL_EARLY_DATA_ACCEPTED);
  ExpectKeys(engine.AwaitKeys(4), pair);
}

}  // namespace
}  // namespace mptcptls::shim
