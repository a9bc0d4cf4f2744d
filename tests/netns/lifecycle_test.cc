// The engine comes by itself and leaves the host as it was, however it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Lifecycle : public testing::Test {
 protected:
  Lifecycle() : nginx_(lab_, lab_.server()), sum_(WriteRandomFile(nginx_.www() + "/file", kMiB)) {}

  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }
  CurlOptions Options(const std::string& path = "/file") const {
    return {.url = UrlOf("https", Server(), path),
            .output = lab_.folder() + "/copy",
            .ca = nginx_.certificate(),
            .env = Product::Environment()};
  }
  bool Fetches() {
    std::remove((lab_.folder() + "/copy").c_str());
    const CurlResult result = RunCurl(lab_.client(), Options());
    return result.status == 0 && FileSha256(lab_.folder() + "/copy") == sum_;
  }

  Lab lab_{LabOptions{}};
  Nginx nginx_;
  std::string sum_;
};

TEST_F(Lifecycle, DownLeavesTheHostsAsTheyWere) {
  const auto client = lab_.client().Snapshot();
  const auto server = lab_.server().Snapshot();
  nginx_.Start(Product::Environment());
  EXPECT_TRUE(Fetches());
  // While it runs, what it needs is its own: no sysctl, no rule, no route of the host's changes.
  const auto running = lab_.client().Snapshot();
  for (const char* section : {"rules", "addresses"}) {
    EXPECT_THAT(running.at(section), HasSubstr(client.at(section))) << section;
  }
  EXPECT_EQ(lab_.client().Run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"),
            "0\n0\n");
  const auto status = Product::Status(lab_.client());
  ASSERT_TRUE(status.has_value());
  EXPECT_THAT(status->installed, Not(IsEmpty()));

  nginx_.Stop(SIGTERM);
  Product::Down(lab_.client());
  Product::Down(lab_.server());
  EXPECT_EQ(Difference(client, lab_.client().Snapshot()), "");
  EXPECT_EQ(Difference(server, lab_.server().Snapshot()), "");
}

TEST_F(Lifecycle, KilledInMidTransferItLeavesNothingAndTheNextProgramWorks) {
  nginx_.Start(Product::Environment());
  for (const int link : {1, 2}) lab_.Shape(link, 50);
  const auto before = lab_.client().Snapshot();
  WriteRandomFile(nginx_.www() + "/large", 64 * kMiB);
  const auto curl = StartCurl(lab_.client(), Options("/large"));
  ASSERT_TRUE(Eventually([&] { return lab_.client().Counters("l1").rx_bytes > 2 * kMiB; }))
      << curl->err();
  const pid_t engine = Product::EnginePid(lab_.client());
  ASSERT_GT(engine, 0);
  kill(engine, SIGKILL);
  const CurlResult result = FinishCurl(*curl, kPatience);
  EXPECT_EQ(result.status, 56) << result.error;  // CURLE_RECV_ERROR, and not a short file
  EXPECT_THAT(result.error, HasSubstr("Connection reset by peer"));
  ASSERT_TRUE(AwaitExit(engine, kPatience));
  std::string difference;
  // The kernel takes down the TUN and the table after the process is gone.
  EXPECT_TRUE(Eventually([&] {
    difference = Difference(before, lab_.client().Snapshot());
    return difference.empty();
  })) << difference;
  EXPECT_TRUE(Fetches());
  EXPECT_NE(Product::EnginePid(lab_.client()), engine);
}

// Its listeners are gone at once, its last answers are not.
TEST_F(Lifecycle, ServerThatEndsGracefullyFinishesItsAnswers) {
  for (const int link : {1, 2}) {
    lab_.Shape(link, 50);
    // They would be joined at a port of the engine's own, which outlives the listener.
    lab_.server().Run("ip -6 addr flush dev " + Lab::Interface(link));
  }
  nginx_.Start(Product::Environment());
  const std::string sum = WriteRandomFile(nginx_.www() + "/large", 32 * kMiB);
  const auto curl = StartCurl(lab_.client(), Options("/large"));
  ASSERT_TRUE(Eventually([&] { return lab_.client().Counters("l1").rx_bytes > 2 * kMiB; }))
      << curl->err();
  kill(nginx_.master(), SIGQUIT);
  const auto listeners = [&] {
    return nlohmann::json::parse(Product::Status(lab_.server())->json).at("listeners").size();
  };
  ASSERT_TRUE(Eventually([&] { return listeners() == 0; })) << Product::Status(lab_.server())->json;
  ASSERT_TRUE(curl->Running()) << "the file was too short";
  const CurlResult result = FinishCurl(*curl, std::chrono::seconds(60));
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(FileSha256(lab_.folder() + "/copy"), sum);
  // And then the port is the kernel's again.
  EXPECT_TRUE(Eventually([&] { return nginx_.master() == 0; }));
  nginx_.Start();
  EXPECT_TRUE(Eventually([&] { return Fetches(); }));
}

TEST_F(Lifecycle, PipelineEndsWhileTheEngineLivesOn) {
  nginx_.Start(Product::Environment());
  const auto pipeline =
      lab_.client().Start({.argv = {"sh", "-c",
                                    "curl -q -sS --cacert " + nginx_.certificate() + " https://" +
                                        Server() + "/file | cat | sha256sum"},
                           .env = Product::Environment()});
  EXPECT_EQ(pipeline->Wait(), 0) << pipeline->err();
  EXPECT_THAT(pipeline->out(), HasSubstr(sum_)) << pipeline->err();
  EXPECT_GT(Product::EnginePid(lab_.client()), 0);
}

TEST_F(Lifecycle, OneEngineServesEveryProgramOfAHost) {
  nginx_.Start(Product::Environment());
  std::vector<std::unique_ptr<Child>> programs;
  for (int i = 0; i < 8; ++i) {
    CurlOptions options = Options();
    options.output = lab_.folder() + "/copy" + std::to_string(i);
    programs.push_back(StartCurl(lab_.client(), options));
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(FinishCurl(*programs[static_cast<size_t>(i)], kPatience).status, 0);
    EXPECT_EQ(FileSha256(lab_.folder() + "/copy" + std::to_string(i)), sum_);
  }
  int engines = 0;
  for (const pid_t pid : lab_.client().Processes()) {
    if (ReadFile("/proc/" + std::to_string(pid) + "/comm") == "mptcptlsd\n") ++engines;
  }
  EXPECT_EQ(engines, 1);
}

TEST_F(Lifecycle, WithoutAnEngineTheKernelServesUnlessRequired) {
  nginx_.Start();
  CurlOptions options = Options();
  options.env.push_back("MPTCPTLS_ENGINE=/no/such/engine");
  options.extra = {"-v"};  // curl tells the errno only when verbose
  const CurlResult required = RunCurl(lab_.client(), options);
  EXPECT_EQ(required.status, 7);
  EXPECT_THAT(required.error, HasSubstr("Network is down"));
  std::erase(options.env, "MPTCPTLS_REQUIRE=1");
  const CurlResult relaxed = RunCurl(lab_.client(), options);
  EXPECT_EQ(relaxed.status, 0) << relaxed.error;
  EXPECT_EQ(Product::EnginePid(lab_.client()), 0);
}

TEST_F(Lifecycle, ListenerBehindAnInputFirewallStaysTheKernels) {
  lab_.server().Run(
      "nft 'table inet firewall { chain input { type filter hook input priority 0; policy drop; "
      "tcp dport 80 accept; ct state established accept; }; }'");
  std::vector<std::string> env = Product::Environment();
  std::erase(env, "MPTCPTLS_REQUIRE=1");
  nginx_.Start(env);
  // The firewall's word holds: 443 is closed, 80 is open and served by the kernel.
  CurlOptions options = Options();
  options.extra = {"--connect-timeout", "2"};
  EXPECT_EQ(RunCurl(lab_.client(), options).status, 28);  // CURLE_OPERATION_TIMEDOUT
  Capture capture(lab_.client(), "l1", lab_.folder() + "/l1.pcap", "tcp port 80", 160);
  options.url = UrlOf("http", Server(), "/file");
  EXPECT_EQ(RunCurl(lab_.client(), options).status, 0);
  capture.Stop();
  EXPECT_EQ(ModeOf(ReadTrace(capture.file())), "tcp");
  // Status says why, with the remedy.
  const auto status = Product::Status(lab_.server());
  ASSERT_TRUE(status.has_value());
  EXPECT_THAT(status->json, HasSubstr("listen_allow"));
}

TEST_F(Lifecycle, RunVerifiesThatTheLibraryIsLoaded) {
  nginx_.Start(Product::Environment());
  const auto run =
      lab_.client().Start({.argv = {Product::Command(), "run", "--", "curl", "-q", "-sS",
                                    "--cacert", nginx_.certificate(), "-o", lab_.folder() + "/copy",
                                    "https://" + Server() + "/file"},
                           .env = {"MPTCPTLS_REQUIRE=1"}});
  EXPECT_EQ(run->Wait(), 0) << run->err();
  EXPECT_EQ(FileSha256(lab_.folder() + "/copy"), sum_);
  EXPECT_GT(Product::EnginePid(lab_.client()), 0);
}

}  // namespace
}  // namespace mptcptls::lab
