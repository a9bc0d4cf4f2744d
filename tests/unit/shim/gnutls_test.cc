// The hook on GnuTLS, with Debian's GnuTLS at both ends of a pipe in memory: this binary's
// gnutls_handshake() is the shim's, and an engine that the test plays gets the keys.
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/shim/fake_engine.h"

namespace mptcptls::shim {
namespace {

using Key = std::vector<uint8_t>;

constexpr char kTls12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
constexpr char kTls13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

void Need(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + gnutls_strerror(result));
}

// A server's certificate of its own making, which clients do not look at, and its key for tickets.
class Credentials {
 public:
  Credentials() {
    Need(gnutls_certificate_allocate_credentials(&certificates_), "credentials");
    Need(gnutls_session_ticket_key_generate(&tickets_), "a key for tickets");
    gnutls_x509_privkey_t key = nullptr;
    gnutls_x509_crt_t certificate = nullptr;
    Need(gnutls_x509_privkey_init(&key), "a key");
    Need(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "a key");
    Need(gnutls_x509_crt_init(&certificate), "a certificate");
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "1", 1);
    gnutls_x509_crt_set_activation_time(certificate, time(nullptr) - 60);
    gnutls_x509_crt_set_expiration_time(certificate, time(nullptr) + 3600);
    gnutls_x509_crt_set_key(certificate, key);
    Need(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), "to sign");
    Need(gnutls_certificate_set_x509_key(certificates_, &certificate, 1, key), "a certificate");
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
  }
  ~Credentials() {
    gnutls_certificate_free_credentials(certificates_);
    gnutls_free(tickets_.data);
  }
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  void* certificates() const { return certificates_; }
  const gnutls_datum_t& tickets() const { return tickets_; }

 private:
  gnutls_certificate_credentials_t certificates_ = nullptr;
  gnutls_datum_t tickets_{nullptr, 0};
};

// One end; what it sends waits in the other's queue.
class End {
 public:
  End(const Credentials& credentials, unsigned flags, const std::string& priority)
      : server_((flags & GNUTLS_SERVER) != 0) {
    Need(gnutls_init(&session_, flags | GNUTLS_NONBLOCK), "a session");
    Need(gnutls_priority_set_direct(session_, priority.c_str(), nullptr), priority.c_str());
    Need(gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials.certificates()),
         "credentials");
    if (server_) {
      Need(gnutls_session_ticket_enable_server(session_, &credentials.tickets()), "tickets");
    }
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, &Push);
    gnutls_transport_set_pull_function(session_, &Pull);
    gnutls_transport_set_pull_timeout_function(session_, &HasBytes);
  }
  ~End() { gnutls_deinit(session_); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  gnutls_session_t session() const { return session_; }
  void JoinTo(End* other) { other_ = other; }
  // True when the handshake call says that it is over.
  bool Handshake() {
    const int result = gnutls_handshake(session_);
    if (result == GNUTLS_E_AGAIN) return false;
    Need(result, server_ ? "the server's handshake" : "the client's handshake");
    return true;
  }
  void Send(const std::string& text) {
    Need(static_cast<int>(gnutls_record_send(session_, text.data(), text.size())), "send");
  }
  // "" when nothing is there yet. A message of the handshake, a ticket say, makes a call return.
  std::string Receive() {
    char bytes[100];
    ssize_t n = GNUTLS_E_AGAIN;
    for (int i = 0; i < 5 && n == GNUTLS_E_AGAIN; ++i)
      n = gnutls_record_recv(session_, bytes, sizeof bytes);
    if (n == GNUTLS_E_AGAIN) return "";
    Need(static_cast<int>(n), "receive");
    return {bytes, static_cast<size_t>(n)};
  }
  Key Random() const {
    gnutls_datum_t client, server;
    gnutls_session_get_random(session_, &client, &server);
    return {client.data, client.data + client.size};
  }
  Key Export() const {
    Key key(16);
    Need(gnutls_prf_rfc5705(session_, strlen("EXPORTER-MPTCP"), "EXPORTER-MPTCP", 0, nullptr,
                            key.size(), reinterpret_cast<char*>(key.data())),
         "export");
    return key;
  }

 private:
  static ssize_t Push(gnutls_transport_ptr_t end, const void* bytes, size_t size) {
    auto& to = static_cast<End*>(end)->other_->arrived_;
    const auto* const first = static_cast<const uint8_t*>(bytes);
    to.insert(to.end(), first, first + size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t Pull(gnutls_transport_ptr_t end, void* bytes, size_t size) {
    auto& from = static_cast<End*>(end)->arrived_;
    if (from.empty()) {
      errno = EAGAIN;
      return -1;
    }
    size = std::min(size, from.size());
    std::copy_n(from.begin(), size, static_cast<uint8_t*>(bytes));
    from.erase(from.begin(), from.begin() + static_cast<ptrdiff_t>(size));
    return static_cast<ssize_t>(size);
  }
  static int HasBytes(gnutls_transport_ptr_t end, unsigned /*timeout*/) {
    return static_cast<End*>(end)->arrived_.empty() ? 0 : 1;
  }

  gnutls_session_t session_ = nullptr;
  const bool server_;
  End* other_ = nullptr;
  std::deque<uint8_t> arrived_;
};

struct Pair {
  Pair(const Credentials& credentials, const std::string& priority, unsigned client_flags = 0,
       unsigned server_flags = 0)
      : client(credentials, GNUTLS_CLIENT | client_flags, priority),
        server(credentials, GNUTLS_SERVER | server_flags, priority) {
    client.JoinTo(&server);
    server.JoinTo(&client);
  }
  void Handshake() {
    bool client_done = false, server_done = false;
    for (int i = 0; i < 20 && !(client_done && server_done); ++i) {
      if (!client_done) client_done = client.Handshake();
      if (!server_done) server_done = server.Handshake();
    }
    if (!client_done || !server_done) throw std::runtime_error("the handshake does not end");
  }
  // With what the server sends, session tickets are taken in as well.
  void Talk() {
    server.Send("hello");
    EXPECT_EQ(client.Receive(), "hello");
    client.Send("world");
    EXPECT_EQ(server.Receive(), "world");
  }
  End client, server;
};

Key KeyOf(const control::KeyMessage& message) {
  return {std::begin(message.key), std::end(message.key)};
}
Key RandomOf(const control::KeyMessage& message) {
  return {std::begin(message.client_random), std::end(message.client_random)};
}

// Those of one connection: the engine takes them in no order.
std::vector<control::KeyMessage> OfConnection(const std::vector<control::KeyMessage>& keys,
                                              const Pair& pair) {
  std::vector<control::KeyMessage> found;
  for (const control::KeyMessage& key : keys)
    if (RandomOf(key) == pair.client.Random()) found.push_back(key);
  return found;
}

class Gnutls : public testing::Test {
 protected:
  Credentials credentials_;
};

class GnutlsVersions : public Gnutls, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tls, GnutlsVersions, testing::Values(kTls12, kTls13), [](const auto& tls) {
  return std::string("v1_") + tls.param[strlen(tls.param) - 1];
});

TEST_P(GnutlsVersions, BothEndsGiveTheExportersKey) {
  FakeEngine engine;
  Pair pair(credentials_, GetParam());
  pair.Handshake();
  const auto keys = engine.AwaitKeys(2);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 1);
    EXPECT_EQ(key.later, 0);
    EXPECT_EQ(RandomOf(key), pair.client.Random());
    EXPECT_EQ(KeyOf(key), pair.client.Export());
    EXPECT_EQ(KeyOf(key), pair.server.Export());
  }
  pair.Talk();
  EXPECT_EQ(engine.AwaitKeys(2).size(), 2u);
}

TEST_P(GnutlsVersions, ResumedSessionsGiveFreshKeys) {
  FakeEngine engine;
  gnutls_datum_t ticket{nullptr, 0};
  Key first;
  {
    Pair pair(credentials_, GetParam());
    pair.Handshake();
    pair.Talk();
    first = pair.client.Export();
    Need(gnutls_session_get_data2(pair.client.session(), &ticket), "the session's data");
  }
  Pair pair(credentials_, GetParam());
  Need(gnutls_session_set_data(pair.client.session(), ticket.data, ticket.size), "resumption");
  gnutls_free(ticket.data);
  pair.Handshake();
  ASSERT_NE(gnutls_session_is_resumed(pair.client.session()), 0);
  const auto keys = OfConnection(engine.AwaitKeys(4), pair);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 1);
    EXPECT_EQ(KeyOf(key), pair.server.Export());
    EXPECT_NE(KeyOf(key), first);
  }
}

void ExpectNoKeys(FakeEngine& engine, control::NoKey why) {
  const auto keys = engine.AwaitKeys(2);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 0);
    EXPECT_EQ(key.why_not, why);
    EXPECT_EQ(KeyOf(key), Key(16));
  }
}

TEST_F(Gnutls, NoExtendedMasterSecretNoKey) {
  FakeEngine engine;
  Pair pair(credentials_, std::string(kTls12) + ":%NO_SESSION_HASH");
  pair.Handshake();
  ExpectNoKeys(engine, control::NoKey::kNoExtendedMasterSecret);
}

TEST_F(Gnutls, OldVersionsGiveNoKey) {
  FakeEngine engine;
  Pair pair(credentials_, "NORMAL:-VERS-ALL:+VERS-TLS1.1");
  pair.Handshake();
  ExpectNoKeys(engine, control::NoKey::kTlsTooOld);
}

// The client's gnutls_handshake() says that all is well while the server's Finished is still to
// come.
TEST_F(Gnutls, FalseStartGivesTheKeyWhenTheServersFinishedCame) {
  Pair pair(credentials_, kTls12, GNUTLS_ENABLE_FALSE_START);
  ASSERT_FALSE(pair.client.Handshake());
  ASSERT_FALSE(pair.server.Handshake());
  ASSERT_TRUE(pair.client.Handshake());
  ASSERT_NE(gnutls_session_get_flags(pair.client.session()) & GNUTLS_SFLAGS_FALSE_START, 0u);
  EXPECT_EQ(pair.client.Receive(), "");
  ASSERT_TRUE(pair.server.Handshake());
  pair.server.Send("hello");
  // What was given before is lost: only now there is an engine.
  FakeEngine engine;
  EXPECT_EQ(pair.client.Receive(), "hello");
  const auto keys = engine.AwaitKeys(1);
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].has_key, 1);
  EXPECT_EQ(keys[0].later, 0);
  EXPECT_EQ(KeyOf(keys[0]), pair.server.Export());
}

// The server's gnutls_handshake() may be over before the client's Finished came.
TEST_F(Gnutls, EarlyStartGivesTheKeyWhenTheClientsFinishedCame) {
  Pair pair(credentials_, kTls13, 0, GNUTLS_ENABLE_EARLY_START);
  ASSERT_FALSE(pair.client.Handshake());
  ASSERT_TRUE(pair.server.Handshake());
  ASSERT_NE(gnutls_session_get_flags(pair.server.session()) & GNUTLS_SFLAGS_EARLY_START, 0u);
  EXPECT_EQ(pair.server.Receive(), "");
  ASSERT_TRUE(pair.client.Handshake());
  pair.client.Send("hello");
  FakeEngine engine;
  EXPECT_EQ(pair.server.Receive(), "hello");
  const auto keys = engine.AwaitKeys(1);
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].has_key, 1);
  EXPECT_EQ(keys[0].later, 0);
  EXPECT_EQ(KeyOf(keys[0]), pair.client.Export());
}

TEST_F(Gnutls, RenegotiationGivesALaterKey) {
  FakeEngine engine;
  Pair pair(credentials_, kTls12);
  pair.Handshake();
  pair.Talk();
  ASSERT_EQ(engine.AwaitKeys(2).size(), 2u);
  ASSERT_FALSE(pair.client.Handshake());
  char byte;
  ASSERT_EQ(gnutls_record_recv(pair.server.session(), &byte, 1), GNUTLS_E_REHANDSHAKE);
  pair.Handshake();
  const auto keys = OfConnection(engine.AwaitKeys(4), pair);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) {
    EXPECT_EQ(key.has_key, 1);
    EXPECT_EQ(key.later, 1);
    EXPECT_EQ(KeyOf(key), pair.server.Export());
  }
}

TEST_F(Gnutls, AFailedHandshakeGivesNothing) {
  FakeEngine engine;
  End client(credentials_, GNUTLS_CLIENT, kTls13), server(credentials_, GNUTLS_SERVER, kTls12);
  client.JoinTo(&server);
  server.JoinTo(&client);
  ASSERT_FALSE(client.Handshake());
  const int error = gnutls_handshake(server.session());
  EXPECT_EQ(error, GNUTLS_E_NO_CIPHER_SUITES);
  Need(gnutls_alert_send_appropriate(server.session(), error), "alert");
  EXPECT_EQ(gnutls_handshake(client.session()), GNUTLS_E_FATAL_ALERT_RECEIVED);
  Pair good(credentials_, kTls13);
  good.Handshake();
  const auto keys = engine.AwaitKeys(2);
  ASSERT_EQ(keys.size(), 2u);
  for (const control::KeyMessage& key : keys) EXPECT_EQ(RandomOf(key), good.client.Random());
}

// A server under TLS 1.3 may call it again to no effect.
TEST_F(Gnutls, ACallAfterTheHandshakeGivesNoOtherKey) {
  FakeEngine engine;
  Pair pair(credentials_, kTls13);
  pair.Handshake();
  ASSERT_TRUE(pair.server.Handshake());
  pair.Talk();
  Pair other(credentials_, kTls13);
  other.Handshake();
  const auto keys = engine.AwaitKeys(4);
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_EQ(OfConnection(keys, pair).size(), 2u);
}

TEST_F(Gnutls, ErrnoIsKept) {
  for (const bool with_engine : {true, false}) {
    std::optional<FakeEngine> engine;
    if (with_engine) engine.emplace();
    Pair pair(credentials_, kTls13);
    ASSERT_FALSE(pair.client.Handshake());
    ASSERT_FALSE(pair.server.Handshake());
    errno = ENOTTY;
    ASSERT_TRUE(pair.client.Handshake());
    EXPECT_STREQ(strerrorname_np(errno), "ENOTTY");
  }
}

}  // namespace
}  // namespace mptcptls::shim
