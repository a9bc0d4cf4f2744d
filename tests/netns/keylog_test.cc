// `mptcptls run --keylog`: programs in whose TLS library a preload sees nothing. node has its own;
// others are made so by libhidetls.so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>

#include "tests/netns/lab.h"
#include "tests/netns/local_stranger.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;

std::string HideTls() {
  return std::filesystem::path(Product::Library()).parent_path() / "libhidetls.so";
}

class KeyLog : public testing::Test {
 protected:
  KeyLog() : nginx_(lab_, lab_.server()) {
    for (const int link : {1, 2}) lab_.Shape(link, 50);
    sum_ = WriteRandomFile(nginx_.www() + "/file", 8 * kMiB);
  }

  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }
  std::string Url() const { return UrlOf("https", Server(), "/file"); }
  std::string copy() const { return lab_.folder() + "/copy"; }
  // Under `mptcptls run --keylog`, all of its OpenSSL's doings hidden from the preload.
  std::unique_ptr<Child> Start(const Host& host, const std::vector<std::string>& program,
                               const std::vector<std::string>& more_env = {},
                               const std::vector<std::string>& options = {}) {
    std::vector<std::string> argv = {Product::Command(), "run", "--require", "--keylog"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.emplace_back("--");
    argv.insert(argv.end(), program.begin(), program.end());
    std::vector<std::string> env = {"LD_PRELOAD=" + HideTls()};
    env.insert(env.end(), more_env.begin(), more_env.end());
    return host.Start({.argv = argv, .env = env});
  }
  std::vector<std::string> Curl(const std::vector<std::string>& options) const {
    std::vector<std::string> argv = {"curl", "-q",  "-sS", "--cacert", nginx_.certificate(),
                                     "-o",   copy()};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(Url());
    return argv;
  }
  void ExpectCopyOverTwoPaths(Child& program) {
    EXPECT_EQ(program.Wait(), 0) << program.err() << program.out();
    EXPECT_EQ(FileSha256(copy()), sum_);
    EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
    EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
  }
  // Names of processes on the client.
  bool ReaderRuns() const {
    for (const pid_t pid : lab_.client().Processes())
      if (ReadFile("/proc/" + std::to_string(pid) + "/comm") == "mptcptls-keylog\n") return true;
    return false;
  }

  Lab lab_{LabOptions{}};
  Nginx nginx_;
  std::string sum_;
};

// ---- Both versions, both hashes

class KeyLogHashes : public KeyLog,
                     public testing::WithParamInterface<std::tuple<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Tls, KeyLogHashes,
                         testing::Values(std::tuple("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
                                         std::tuple("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
                                         std::tuple("1.3", "TLS_AES_128_GCM_SHA256"),
                                         std::tuple("1.3", "TLS_AES_256_GCM_SHA384")),
                         [](const auto& variant) {
                           const std::string cipher = std::get<1>(variant.param);
                           return std::string("v1_") + std::get<0>(variant.param)[2] + "_" +
                                  cipher.substr(cipher.size() - 6);
                         });

TEST_P(KeyLogHashes, CurlDownloadsOverTwoPaths) {
  const auto& [version, cipher] = GetParam();
  nginx_.Start(Product::Environment());
  const bool is_13 = version == std::string("1.3");
  const auto curl =
      Start(lab_.client(), Curl({std::string("--tlsv") + version, "--tls-max", version,
                                 is_13 ? "--tls13-ciphers" : "--ciphers", cipher}));
  ExpectCopyOverTwoPaths(*curl);
}

// Without the key log the same program gives no key: what hides OpenSSL does hide it.
TEST_F(KeyLog, IsWhatGivesTheKey) {
  nginx_.Start(Product::Environment());
  const auto curl = lab_.client().Start({.argv = Curl({}), .env = Product::Environment(HideTls())});
  EXPECT_EQ(curl->Wait(), 0) << curl->err();
  EXPECT_EQ(FileSha256(copy()), sum_);
  const auto connections = ConnectionsOf(lab_.client());
  ASSERT_EQ(connections.size(), 1u);
  EXPECT_EQ(connections[0].mode, "tls-auth");
  EXPECT_EQ(connections[0].key, "none");
  EXPECT_EQ(connections[0].subflows.size(), 1u);
}

TEST_F(KeyLog, NoExtendedMasterSecretNoKey) {
  WriteFile(lab_.folder() + "/openssl.cnf",
            "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n"
            "[defaults]\nOptions = -ExtendedMasterSecret\n");
  nginx_.Start(Product::Environment());
  const auto curl = Start(lab_.client(), Curl({"--tlsv1.2", "--tls-max", "1.2"}),
                          {"OPENSSL_CONF=" + lab_.folder() + "/openssl.cnf"});
  EXPECT_EQ(curl->Wait(), 0) << curl->err();
  EXPECT_EQ(FileSha256(copy()), sum_);
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    const auto connections = ConnectionsOf(*host);
    ASSERT_EQ(connections.size(), 1u);
    EXPECT_EQ(connections[0].mode, "tls-auth");
    EXPECT_THAT(connections[0].key, HasSubstr("Extended Master Secret"));
    EXPECT_EQ(connections[0].subflows.size(), 1u);
  }
}

// ---- Other programs

TEST_F(KeyLog, PythonDownloadsOverTwoPaths) {
  nginx_.Start(Product::Environment());
  const auto python =
      Start(lab_.client(), {"/usr/bin/python3", "-c",
                            "import ssl, sys, urllib.request\n"
                            "context = ssl.create_default_context(cafile=sys.argv[2])\n"
                            "with urllib.request.urlopen(sys.argv[1], context=context) as file:\n"
                            "  open(sys.argv[3], 'wb').write(file.read())\n",
                            Url(), nginx_.certificate(), copy()});
  ExpectCopyOverTwoPaths(*python);
}

class KeyLogNode : public KeyLog, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tls, KeyLogNode, testing::Values("1.2", "1.3"),
                         [](const auto& tls) { return std::string("v1_") + tls.param[2]; });

TEST_P(KeyLogNode, DownloadsOverTwoPaths) {
  nginx_.Start(Product::Environment());
  const std::string version = std::string("TLSv") + GetParam();
  const auto node =
      Start(lab_.client(),
            {"node", "-e",
             "const [url, ca, copy, version] = process.argv.slice(1), fs = require('fs');\n"
             "require('https').get(url, {ca: fs.readFileSync(ca), minVersion: version,\n"
             "  maxVersion: version}, (response) => response.pipe(fs.createWriteStream(copy)));\n",
             Url(), nginx_.certificate(), copy(), version});
  ExpectCopyOverTwoPaths(*node);
}

// The server's secret is in the log before the client's Finished is there.
TEST_P(KeyLogNode, ServesOverTwoPaths) {
  const std::string version = std::string("TLSv") + GetParam();
  const auto node = Start(
      lab_.server(),
      {"node", "-e",
       "const [certificate, key, file, version] = process.argv.slice(1), fs = require('fs');\n"
       "require('https').createServer({cert: fs.readFileSync(certificate),\n"
       "  key: fs.readFileSync(key), minVersion: version, maxVersion: version},\n"
       "  (request, response) => fs.createReadStream(file).pipe(response)\n"
       ").listen(443, () => console.log('listens'));\n",
       nginx_.certificate(), nginx_.key(), nginx_.www() + "/file", version});
  ASSERT_TRUE(Eventually([&] { return node->out() == "listens\n"; })) << node->err();
  const CurlResult curl = RunCurl(
      lab_.client(),
      {.url = Url(), .output = copy(), .ca = nginx_.certificate(), .env = Product::Environment()});
  EXPECT_EQ(curl.status, 0) << curl.error;
  EXPECT_EQ(FileSha256(copy()), sum_);
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.client()), "");
  EXPECT_EQ(AwaitTwoPathsUnderTls(lab_.server()), "");
}

// ---- The log itself

TEST_F(KeyLog, IsAPipeWhoseReaderEndsWithTheProgram) {
  const auto shell = Start(lab_.client(), {"sh", "-c",
                                           "stat -L -c %F $SSLKEYLOGFILE; cat $SSLKEYLOGFILE & "
                                           "sleep 0; kill $!; exit 7"});
  EXPECT_EQ(shell->Wait(), 7) << "the program's own";
  EXPECT_EQ(shell->out(), "fifo\n");
  EXPECT_TRUE(Eventually([&] { return !ReaderRuns(); }));
}

TEST_F(KeyLog, BadLinesAreToldOnceAndCounted) {
  const std::string log = lab_.folder() + "/log";
  const auto shell = Start(
      lab_.client(), {"sh", "-c", "for i in 1 2 3; do echo nonsense $i; done >>$SSLKEYLOGFILE"}, {},
      {"--log", log});
  EXPECT_EQ(shell->Wait(), 0) << shell->err();
  EXPECT_TRUE(Eventually([&] { return ReadFile(log).find("3 lines") != std::string::npos; }))
      << ReadFile(log);
  EXPECT_THAT(ReadFile(log), testing::Not(HasSubstr("nonsense"))) << "what it said may be a key";
}

TEST_F(KeyLog, RefusesToTakeAnothersPlace) {
  const auto with = [&](const std::string& variable) {
    const auto command = Start(lab_.client(), {"true"}, {variable});
    EXPECT_EQ(command->Wait(), 1);
    return command->err();
  };
  EXPECT_THAT(with("SSLKEYLOGFILE=/tmp/keys"), HasSubstr("SSLKEYLOGFILE is set"));
  EXPECT_THAT(with("NODE_OPTIONS=--tls-keylog=/tmp/keys"), HasSubstr("NODE_OPTIONS"));
  EXPECT_FALSE(ReaderRuns());
}

}  // namespace
}  // namespace mptcptls::lab
