// Programs of GnuTLS, Debian's own and unmodified: their sessions give keys as OpenSSL's do. wget
// hands GnuTLS a descriptor, git's curl a transport of its own; gnutls-serv is a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/netns/lab.h"
#include "tests/netns/local_stranger.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;

// Priority strings of GnuTLS.
constexpr char kTls12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
constexpr char kTls13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

class GnutlsPrograms : public testing::Test {
 protected:
  GnutlsPrograms() : nginx_(lab_, lab_.server()) {
    for (const int link : {1, 2}) lab_.Shape(link, 50);
  }

  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }
  std::unique_ptr<Child> StartClient(const std::vector<std::string>& argv,
                                     const std::string& stdin_file = "/dev/null",
                                     const std::vector<std::string>& more_env = {}) {
    std::vector<std::string> env = Product::Environment();
    env.insert(env.end(), more_env.begin(), more_env.end());
    return lab_.client().Start({.argv = argv, .env = env, .stdin_file = stdin_file});
  }
  std::unique_ptr<Child> StartWget(const std::string& priority, const std::string& copy) {
    return StartClient({"wget", "--no-config", "-nv", "--ca-certificate", nginx_.certificate(),
                        "--ciphers", priority, "-O", copy, UrlOf("https", Server(), "/file")});
  }
  // Under the product, ready to take connections.
  std::unique_ptr<Child> StartGnutlsServ(const std::string& priority) {
    auto serv = lab_.server().Start(
        {.argv = {"gnutls-serv", "--echo", "--port", "443", "--priority", priority,
                  "--x509certfile", nginx_.certificate(), "--x509keyfile", nginx_.key()},
         .env = Product::Environment()});
    const auto listens = [&] {
      // A process is an engine when it has the name.
      if (AbstractNames(lab_.server(), "mptcptls/engine").empty()) return false;
      const auto status = Product::Status(lab_.server());
      // It has one for each family.
      return status && nlohmann::json::parse(status->json).at("listeners").size() == 2;
    };
    if (!Eventually(listens))
      throw std::runtime_error("gnutls-serv does not listen: " + serv->err() + serv->out());
    return serv;
  }
  std::vector<std::string> GnutlsCli(const std::string& priority,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> argv = {"gnutls-cli", "--x509cafile", nginx_.certificate(),
                                     "--port",     "443",          "--priority",
                                     priority};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.push_back(Server());
    return argv;
  }

  Lab lab_{LabOptions{}};
  Nginx nginx_;
};

class GnutlsVersions : public GnutlsPrograms, public testing::WithParamInterface<const char*> {
 protected:
  bool Is13() const { return GetParam() == std::string("1.3"); }
  std::string Priority() const { return Is13() ? kTls13 : kTls12; }
};
INSTANTIATE_TEST_SUITE_P(Tls, GnutlsVersions, testing::Values("1.2", "1.3"),
                         [](const auto& tls) { return std::string("v1_") + tls.param[2]; });

TEST_P(GnutlsVersions, WgetDownloadsOverTwoPaths) {
  const std::string sum = WriteRandomFile(nginx_.www() + "/file", 8 * kMiB);
  nginx_.Start(Product::Environment());
  const std::string copy = lab_.folder() + "/copy";
  const auto wget = StartWget(Priority(), copy);
  EXPECT_EQ(wget->Wait(), 0) << wget->err();
  EXPECT_EQ(FileSha256(copy), sum);
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
  for (const char* link : {"l1", "l2"})
    EXPECT_GT(lab_.client().Counters(link).rx_bytes, kMiB) << link;
}

TEST_P(GnutlsVersions, GitClonesOverTwoPaths) {
  const std::string work = lab_.folder() + "/work";
  const std::string sum = [&] {
    std::filesystem::create_directories(work);
    return WriteRandomFile(work + "/file", 8 * kMiB);
  }();
  lab_.client().Run(
      "set -e; cd " + work +
      "; git init -q; git -c user.name=t -c user.email=t@example.org add file; "
      "git -c user.name=t -c user.email=t@example.org commit -q -m file; "
      "git clone -q --bare . " +
      nginx_.www() + "/file.git; cd " + nginx_.www() +
      "/file.git; git config core.sharedRepository all; git update-server-info; chmod -R a+rX .");
  nginx_.Start(Product::Environment());
  const std::string copy = lab_.folder() + "/clone";
  const auto git = StartClient({"git", "-c", "http.sslCAInfo=" + nginx_.certificate(), "-c",
                                "http.sslVersion=tlsv" + std::string(GetParam()), "clone", "-q",
                                UrlOf("https", Server(), "/file.git"), copy},
                               "/dev/null", {"GIT_CONFIG_NOSYSTEM=1"});
  EXPECT_EQ(git->Wait(), 0) << git->err();
  EXPECT_EQ(FileSha256(copy + "/file"), sum);
  const auto connections = ConnectionsOf(lab_.client());
  ASSERT_FALSE(connections.empty());
  for (const ConnectionStatus& connection : connections)
    EXPECT_EQ(WhyNotTwoPathsUnderTls(connection), "");
}

// Both with a socket of GnuTLS's own loop.
TEST_P(GnutlsVersions, GnutlsServAndGnutlsCliTalkOverTwoPaths) {
  const auto serv = StartGnutlsServ(Priority());
  StdinPipe words(lab_.folder() + "/stdin");
  const auto client = StartClient(GnutlsCli(Priority()), words.file());
  words.Write("a word before\n");
  EXPECT_TRUE(Eventually([&] { return client->out().ends_with("a word before\n"); }))
      << client->out() << client->err();
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
  words.Write("and one after\n");
  EXPECT_TRUE(Eventually([&] { return client->out().ends_with("and one after\n"); }))
      << client->out();
  words.Close();
  EXPECT_EQ(client->Wait(), 0) << client->err();
}

TEST_P(GnutlsVersions, GnutlsServServesOpensslOverTwoPaths) {
  const auto serv = StartGnutlsServ(Priority());
  StdinPipe words(lab_.folder() + "/stdin");
  const auto client = StartClient(
      {"openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", nginx_.certificate(),
       Is13() ? "-tls1_3" : "-tls1_2", "-connect", Server() + ":443"},
      words.file());
  words.Write("hello\n");
  EXPECT_TRUE(Eventually([&] { return client->out() == "hello\n"; })) << client->err();
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
}

// gnutls-cli connects twice; the second session is the first one resumed.
TEST_P(GnutlsVersions, ResumedSessionsHaveKeys) {
  nginx_.Start(Product::Environment());
  StdinPipe words(lab_.folder() + "/stdin");
  const auto client =
      StartClient(GnutlsCli(Priority(), {"--resume", "--waitresumption"}), words.file());
  EXPECT_TRUE(Eventually([&] {
    return client->out().find("*** This is a resumed session") != std::string::npos;
  })) << client->out()
      << client->err();
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
  const auto connections = ConnectionsOf(lab_.client());
  ASSERT_EQ(connections.size(), 2u);
  for (const ConnectionStatus& connection : connections) {
    EXPECT_EQ(connection.mode, "tls-auth");
    EXPECT_EQ(connection.key, "present");
  }
}

// ---- Without a key there is one path, and the data comes all the same

TEST_F(GnutlsPrograms, NoExtendedMasterSecretNoSecondPath) {
  const std::string sum = WriteRandomFile(nginx_.www() + "/file", 4 * kMiB);
  nginx_.Start(Product::Environment());
  const std::string copy = lab_.folder() + "/copy";
  const auto wget = StartWget(std::string(kTls12) + ":%NO_SESSION_HASH", copy);
  EXPECT_EQ(wget->Wait(), 0) << wget->err();
  EXPECT_EQ(FileSha256(copy), sum);
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    const auto connections = ConnectionsOf(*host);
    ASSERT_EQ(connections.size(), 1u);
    EXPECT_EQ(connections[0].mode, "tls-auth");
    EXPECT_THAT(connections[0].key, HasSubstr("xtended"));
    EXPECT_EQ(connections[0].subflows.size(), 1u);
  }
}

// %NO_EXTENSIONS is the same, by a ClientHello without any.
TEST_F(GnutlsPrograms, NoExtensionsNoSecondPath) {
  const auto serv = StartGnutlsServ("NORMAL");
  StdinPipe words(lab_.folder() + "/stdin");
  const auto client = StartClient(GnutlsCli(std::string(kTls12) + ":%NO_EXTENSIONS"), words.file());
  words.Write("hello\n");
  EXPECT_TRUE(Eventually([&] { return client->out().ends_with("hello\n"); }))
      << client->out() << client->err();
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    const auto connections = ConnectionsOf(*host);
    ASSERT_EQ(connections.size(), 1u);
    EXPECT_EQ(connections[0].mode, "tls-auth");
    EXPECT_THAT(connections[0].key, HasSubstr("xtended"));
    EXPECT_EQ(connections[0].subflows.size(), 1u);
  }
}

}  // namespace
}  // namespace mptcptls::lab
