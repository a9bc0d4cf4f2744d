// What a user writes into /etc/mptcptls.toml about paths, and `mptcptls cache`, with real programs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// What a link may carry that carries no data: joins, probes, neighbour discovery.
constexpr uint64_t kIdle = 100'000;

class PathPolicies : public testing::Test {
 protected:
  PathPolicies() : lab_({.middle = Middle::kBridge}), nginx_(lab_, lab_.server()) {
    for (const int link : {1, 2}) lab_.Shape(link, 50);
    sum_ = WriteRandomFile(nginx_.www() + "/file", 16 * kMiB);
  }

  // The environment of a program whose engine reads `text`.
  std::vector<std::string> Configured(const std::string& text) {
    const std::string file = lab_.folder() + "/" + std::to_string(++files_) + ".toml";
    WriteFile(file, text);
    std::vector<std::string> env = Product::Environment();
    env.push_back("MPTCPTLS_CONFIG=" + file);
    return env;
  }

  std::string Copy() const { return lab_.folder() + "/copy"; }

  std::unique_ptr<Child> Download(const std::vector<std::string>& env) {
    return StartCurl(lab_.client(),
                     {.url = UrlOf("https", lab_.Address(lab_.server(), 1, Family::kV4), "/file"),
                      .output = Copy(),
                      .ca = nginx_.certificate(),
                      .env = env});
  }

  uint64_t Received(int link) const {
    return lab_.client().Counters(Lab::Interface(link)).rx_bytes;
  }

  bool Carries(int link, uint64_t more, Child& program) {
    const uint64_t goal = Received(link) + more;
    return Eventually([&] { return Received(link) >= goal || !program.Running(); }) &&
           Received(link) >= goal;
  }

  void Complete(Child& curl) {
    const CurlResult result = FinishCurl(curl, std::chrono::seconds(60));
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(FileSha256(Copy()), sum_);
  }

  // The newest connection of a host's engine; null without one, and while the engine starts.
  static json Newest(const Host& host) {
    std::optional<EngineStatus> status;
    try {
      status = Product::Status(host);
    } catch (const std::runtime_error&) {
      return nullptr;
    }
    if (!status) return nullptr;
    const json all = json::parse(status->json);
    for (const char* const list : {"connections", "closed"}) {
      if (!all.at(list).empty()) return all.at(list).back();
    }
    return nullptr;
  }

  static json Subflows(const Host& host) {
    const json connection = Newest(host);
    return connection.is_null() ? json::array() : connection.at("subflows");
  }

  // Waits until it has so many subflows that work.
  bool AwaitSubflows(size_t count) {
    return Eventually([&] {
      size_t established = 0;
      for (const json& subflow : Subflows(lab_.client())) {
        established += subflow.at("state") == "ESTAB";
      }
      return established == count;
    });
  }

  std::vector<std::string> Reasons() {
    std::vector<std::string> reasons;
    const json connection = Newest(lab_.client());
    if (connection.is_null()) return reasons;
    for (const json& path : connection.at("unused_paths")) reasons.push_back(path.at("reason"));
    return reasons;
  }

  Lab lab_;
  Nginx nginx_;
  std::string sum_;
  int files_ = 0;
};

TEST_F(PathPolicies, BackupCarriesNothingUntilThePathIsGone) {
  nginx_.Start(Product::Environment());
  const auto curl = Download(Configured("[[uplink]]\nname = \"l2\"\nuse = \"backup\"\n"));
  ASSERT_TRUE(AwaitSubflows(2)) << curl->err();
  ASSERT_TRUE(Carries(1, 4 * kMiB, *curl)) << curl->err();
  EXPECT_LT(Received(2), kIdle);
  for (const json& subflow : Subflows(lab_.client())) {
    EXPECT_EQ(subflow.at("backup"), subflow.at("uplink") == "l2") << subflow;
  }
  lab_.AdminDown(lab_.client(), 1);
  EXPECT_TRUE(Carries(2, 4 * kMiB, *curl)) << curl->err();
  Complete(*curl);
}

// The server's own uplink: its answer to the join says so.
TEST_F(PathPolicies, BackupOfTheServerIsHeardByTheClient) {
  nginx_.Start(
      Configured("[[uplink]]\nname = \"l*\"\nuse = \"backup\"\n"
                 "[[uplink]]\nname = \"l2\"\nsubflows = 1\n"));
  const auto curl = Download(Product::Environment());
  ASSERT_TRUE(AwaitSubflows(2)) << curl->err();
  // The first one's handshake cannot say it; MP_PRIO does.
  EXPECT_TRUE(Eventually([&] {
    size_t backups = 0;
    for (const json& subflow : Subflows(lab_.client())) {
      backups += subflow.at("backup") == true;
    }
    return backups == 2;
  })) << Newest(lab_.client());
  Complete(*curl);
}

TEST_F(PathPolicies, MeteredUplinkIsOpenedWhenTheOtherIsGone) {
  nginx_.Start(Product::Environment());
  const auto curl = Download(Configured("[[uplink]]\nname = \"l2\"\nuse = \"metered\"\n"));
  ASSERT_TRUE(Carries(1, 8 * kMiB, *curl)) << curl->err();
  EXPECT_TRUE(AwaitSubflows(1));
  EXPECT_THAT(Reasons(), Contains(HasSubstr("metered")));
  lab_.AdminDown(lab_.client(), 1);
  EXPECT_TRUE(Carries(2, 4 * kMiB, *curl)) << curl->err();
  Complete(*curl);
}

TEST_F(PathPolicies, NeverLeavesAnUplinkToTheKernel) {
  nginx_.Start(Product::Environment());
  const auto curl = Download(Configured("[[uplink]]\nname = \"l2\"\nuse = \"never\"\n"));
  ASSERT_TRUE(Carries(1, 8 * kMiB, *curl)) << curl->err();
  EXPECT_TRUE(AwaitSubflows(1));
  EXPECT_THAT(Reasons(), IsEmpty());
  Complete(*curl);
}

TEST_F(PathPolicies, UplinkMayWantSeveralSubflows) {
  nginx_.Start(Product::Environment());
  const auto curl = Download(Configured("[[uplink]]\nname = \"l1\"\nsubflows = 3\n"));
  ASSERT_TRUE(AwaitSubflows(4)) << curl->err();
  std::set<std::string> ports;
  for (const json& subflow : Subflows(lab_.client())) {
    if (subflow.at("uplink") == "l1") ports.insert(subflow.at("local"));
  }
  EXPECT_EQ(ports.size(), 3u) << Newest(lab_.client());
  Complete(*curl);
}

TEST_F(PathPolicies, LimitIsToldWhereItCounts) {
  nginx_.Start(Product::Environment());
  const auto curl = Download(Configured("[paths]\nmax_subflows = 1\n"));
  ASSERT_TRUE(Carries(1, 8 * kMiB, *curl)) << curl->err();
  EXPECT_TRUE(AwaitSubflows(1)) << Newest(lab_.client());
  EXPECT_THAT(Reasons(), Contains(HasSubstr("limit of 1 subflows (max_subflows)")));
  Complete(*curl);
}

TEST_F(PathPolicies, ServerThatTakesNoJoinsGetsNone) {
  nginx_.Start(Configured("[paths]\naccept_joins = false\n"));
  const auto curl = Download(Product::Environment());
  ASSERT_TRUE(Carries(1, 8 * kMiB, *curl)) << curl->err();
  EXPECT_TRUE(AwaitSubflows(1));
  EXPECT_THAT(Reasons(), Contains(HasSubstr("takes no subflows at this address")));
  Complete(*curl);
}

TEST_F(PathPolicies, CacheIsShownAndForgotten) {
  nginx_.Start(Product::Environment());
  Complete(*Download(Product::Environment()));
  const std::string command = Product::Command() + " cache";
  const std::string server = lab_.Address(lab_.server(), 1, Family::kV4);
  EXPECT_THAT(lab_.client().Run(command), HasSubstr(server + ":443  tls-auth, confirms keys"));
  EXPECT_THAT(lab_.client().Run(command + " clear 192.0.2.1"), HasSubstr("0 destinations"));
  EXPECT_THAT(lab_.client().Run(command + " clear " + server + ":80"), HasSubstr("0 destinations"));
  const auto stranger =
      lab_.client().Start({.argv = {"setpriv", "--reuid", "nobody", "--clear-groups",
                                    Product::Command(), "cache", "clear"}});
  EXPECT_EQ(stranger->Wait(), 1);
  EXPECT_THAT(stranger->err(), HasSubstr("only root"));
  EXPECT_THAT(lab_.client().Run(command + " clear " + server), HasSubstr("1 destination\n"));
  EXPECT_THAT(lab_.client().Run(command), HasSubstr("none"));
}

// ---- Renegotiation (TLS 1.2) replaces the keys: PROTOCOL.md 8

// A program's standard input, line by line.
class Typist {
 public:
  explicit Typist(const std::string& path) : path_(path) {
    if (mkfifo(path.c_str(), 0600) == 0) pipe_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (pipe_ < 0) throw std::runtime_error("no pipe at " + path);
  }
  ~Typist() { close(pipe_); }
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;
  const std::string& path() const { return path_; }
  void Type(const std::string& line) const {
    ASSERT_EQ(write(pipe_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }

 private:
  std::string path_;
  int pipe_ = -1;
};

TEST_F(PathPolicies, RenegotiationReplacesTheKeys) {
  const std::string key = nginx_.certificate().substr(0, nginx_.certificate().rfind('/'));
  const Typist silent(lab_.folder() + "/silent");  // the end of its input would end the server
  const auto server = lab_.server().Start(
      {.argv = {"openssl", "s_server", "-accept", "4433", "-tls1_2", "-cert", nginx_.certificate(),
                "-key", key + "/key.pem", "-client_renegotiation", "-no_resumption_on_reneg"},
       .env = Product::Environment(),
       .stdin_file = silent.path()});
  ASSERT_TRUE(Eventually([&] { return server->out().find("ACCEPT") != std::string::npos; }))
      << server->err();
  const Typist typist(lab_.folder() + "/typed");
  const auto client = lab_.client().Start(
      {.argv = {"openssl", "s_client", "-connect",
                lab_.Address(lab_.server(), 1, Family::kV4) + ":4433", "-tls1_2"},
       .env = Product::Environment(),
       .stdin_file = typist.path()});
  ASSERT_TRUE(AwaitSubflows(2)) << Newest(lab_.client()) << client->err() << server->out()
                                << server->err();
  typist.Type("R\n");
  // Alone: what is read with it is thrown away.
  const auto said = [&](const std::string& text) {
    return (client->out() + client->err()).find(text) != std::string::npos;
  };
  ASSERT_TRUE(Eventually([&] { return said("RENEGOTIATING"); }));
  typist.Type("are the keys new?\n");
  ASSERT_TRUE(Eventually([&] {
    return server->out().find("are the keys new?") != std::string::npos;
  })) << client->out()
      << client->err();
  // A new join takes them.
  lab_.AdminDown(lab_.client(), 2);
  ASSERT_TRUE(AwaitSubflows(1));
  lab_.AdminUp(lab_.client(), 2);
  ASSERT_TRUE(AwaitSubflows(2));
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    EXPECT_TRUE(Eventually([&] { return Newest(*host).at("keys_replaced") == 1; }))
        << Newest(*host);
  }
  typist.Type("and well?\n");
  EXPECT_TRUE(Eventually([&] { return server->out().find("and well?") != std::string::npos; }));
}

}  // namespace
}  // namespace mptcptls::lab
