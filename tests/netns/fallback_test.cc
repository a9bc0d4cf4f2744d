// The product beside what knows less: plain programs, plain HTTP, clients on the same host,
// restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;

constexpr size_t kSize = 2 * kMiB;
constexpr int kCouldNotConnect = 7;  // curl's exit status

class Fallback : public testing::TestWithParam<Family> {
 protected:
  Fallback() : nginx_(lab_, lab_.server()), sum_(WriteRandomFile(nginx_.www() + "/file", kSize)) {}

  // nginx under the product, which has its engine then: what follows is not the kernel's doing.
  void StartPreloaded() {
    nginx_.Start(Product::Environment());
    ASSERT_GT(Product::EnginePid(lab_.server()), 0);
  }

  // Fetches the file as a test does: empty when the copy is equal, else what went wrong.
  std::string Fetch(const Host& from, const std::string& url, bool preloaded) {
    const std::string copy = lab_.folder() + "/copy";
    std::remove(copy.c_str());
    CurlOptions options{.url = url, .output = copy, .ca = nginx_.certificate()};
    if (preloaded) options.env = Product::Environment();
    const CurlResult result = RunCurl(from, options);
    if (result.status == kCouldNotConnect) return "could not connect";
    if (result.status != 0) return "curl: " + result.error;
    if (preloaded && Product::EnginePid(from) == 0) return "no engine";
    return FileSha256(copy) == sum_ ? "" : "the copy differs";
  }

  // The mode that the wire shows while the client fetches from the server over link 1.
  std::string ModeOfFetch(const std::string& scheme, bool preloaded) {
    Capture capture(lab_.client(), "l1", lab_.folder() + "/l1.pcap", "tcp", 160);
    EXPECT_EQ(Fetch(lab_.client(), UrlOf(scheme, Server(), "/file"), preloaded), "");
    capture.Stop();
    return ModeOf(ReadTrace(capture.file()));
  }

  std::string Server() const { return lab_.Address(lab_.server(), 1, GetParam()); }

  Lab lab_{LabOptions{}};
  Nginx nginx_;
  std::string sum_;
};

INSTANTIATE_TEST_SUITE_P(Families, Fallback, testing::Values(Family::kV4, Family::kV6),
                         [](const auto& family) {
                           return family.param == Family::kV4 ? "v4" : "v6";
                         });

TEST_P(Fallback, PlainCurlReachesThePreloadedNginx) {
  StartPreloaded();
  EXPECT_EQ(ModeOfFetch("https", false), "tcp");
  EXPECT_EQ(ModeOfFetch("http", false), "tcp");
}

TEST_P(Fallback, PreloadedCurlReachesAPlainNginx) {
  nginx_.Start();
  EXPECT_EQ(ModeOfFetch("https", true), "tcp");
  // With what the first connection taught: it works as well.
  EXPECT_EQ(ModeOfFetch("https", true), "tcp");
  EXPECT_EQ(ModeOfFetch("http", true), "tcp");
}

TEST_P(Fallback, PlainHttpUsesRfc8684Keys) {
  StartPreloaded();
  EXPECT_EQ(ModeOfFetch("http", true), "keys");
}

TEST_P(Fallback, ClientsOnTheSameHostReachThePreloadedNginx) {
  StartPreloaded();
  const std::string loopback = GetParam() == Family::kV4 ? "127.0.0.1" : "::1";
  for (const std::string& address : {loopback, Server()}) {
    for (const bool preloaded : {false, true}) {
      EXPECT_EQ(Fetch(lab_.server(), UrlOf("https", address, "/file"), preloaded), "")
          << address << (preloaded ? " preloaded" : " plain");
    }
  }
}

TEST_P(Fallback, RestartedNginxGetsItsPortAtOnce) {
  for (const int signal : {SIGTERM, SIGQUIT, SIGTERM}) {
    StartPreloaded();
    EXPECT_EQ(Fetch(lab_.client(), UrlOf("https", Server(), "/file"), true), "");
    nginx_.Stop(signal);
  }
}

TEST_P(Fallback, ReloadedNginxGoesOn) {
  StartPreloaded();
  EXPECT_EQ(Fetch(lab_.client(), UrlOf("https", Server(), "/file"), true), "");
  nginx_.Reload();
  EXPECT_EQ(Fetch(lab_.client(), UrlOf("https", Server(), "/file"), true), "");
}

TEST_P(Fallback, RefusedPortSaysSo) {
  StartPreloaded();
  // curl tells the errno only when verbose.
  const CurlResult result = RunCurl(lab_.client(), {.url = UrlOf("https", Server(), "/file", 444),
                                                    .extra = {"-v"},
                                                    .env = Product::Environment()});
  EXPECT_EQ(result.status, 7);
  EXPECT_THAT(result.error, HasSubstr("Connection refused"));
}

TEST_P(Fallback, StoppedNginxRefuses) {
  StartPreloaded();
  EXPECT_EQ(Fetch(lab_.client(), UrlOf("https", Server(), "/file"), true), "");
  nginx_.Stop(SIGTERM);
  // The engine notices that the listener is dead within a second.
  EXPECT_TRUE(Eventually([&] {
    return Fetch(lab_.client(), UrlOf("https", Server(), "/file"), true) == "could not connect";
  }));
}

}  // namespace
}  // namespace mptcptls::lab
