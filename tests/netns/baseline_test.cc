// What the lab and the programs do without the product: kernel TCP only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

struct Case {
  Family family;
  const char* tls;
};

// Names the case in the test's name.
void PrintTo(const Case& value, std::ostream* out) {
  *out << (value.family == Family::kV4 ? "IPv4" : "IPv6") << " TLS " << value.tls;
}

class Baseline : public testing::TestWithParam<Case> {};
std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.family == Family::kV4 ? "v4" : "v6") + "_tls" + info.param.tls[0] +
         info.param.tls[2];
}
INSTANTIATE_TEST_SUITE_P(Kernel, Baseline,
                         testing::Values(Case{Family::kV4, "1.3"}, Case{Family::kV4, "1.2"},
                                         Case{Family::kV6, "1.3"}, Case{Family::kV6, "1.2"}),
                         CaseName);

TEST_P(Baseline, CurlDownloadsAndUploads64MiB) {
  Lab lab(LabOptions{});
  Nginx nginx(lab, lab.server());
  const std::string file = nginx.www() + "/file";
  const std::string sum = WriteRandomFile(file, 64 * kMiB);
  nginx.Start();
  const std::string copy = lab.folder() + "/copy";
  CurlOptions options{
      .url = UrlOf("https", lab.Address(lab.server(), 1, GetParam().family), "/file"),
      .output = copy,
      .ca = nginx.certificate(),
      .tls = GetParam().tls};
  const CurlResult down = RunCurl(lab.client(), options);
  EXPECT_EQ(down.status, 0) << down.error;
  EXPECT_EQ(down.http_status, 200);
  EXPECT_EQ(FileSha256(copy), sum);
  // All of it went over link 1.
  EXPECT_GT(lab.client().Counters("l1").rx_bytes, 64 * kMiB);
  EXPECT_LT(lab.client().Counters("l2").rx_bytes, 10000u);

  options.url = UrlOf("https", lab.Address(lab.server(), 1, GetParam().family), "/upload/file");
  options.output = "";
  options.upload = file;
  const CurlResult up = RunCurl(lab.client(), options);
  EXPECT_EQ(up.status, 0) << up.error;
  EXPECT_EQ(up.http_status, 201) << nginx.ErrorLog();
  EXPECT_EQ(FileSha256(nginx.uploads() + "/file"), sum);
}

TEST(Programs, CurlChecksTheCertificate) {
  Lab lab({.links = 1});
  Nginx nginx(lab, lab.server());
  nginx.Start();
  const CurlResult result = RunCurl(
      lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, Family::kV4), "/")});
  EXPECT_EQ(result.status, 60) << result.error;  // CURLE_PEER_FAILED_VERIFICATION
}

TEST(Programs, NginxServesPlainHttpReloadsAndRestarts) {
  Lab lab({.links = 1});
  Nginx nginx(lab, lab.server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", 100000);
  const std::string copy = lab.folder() + "/copy";
  const CurlOptions options{
      .url = UrlOf("http", lab.Address(lab.server(), 1, Family::kV6), "/file"), .output = copy};
  nginx.Start();
  const auto fetch = [&] {
    std::remove(copy.c_str());
    const CurlResult result = RunCurl(lab.client(), options);
    return result.status == 0 && FileSha256(copy) == sum;
  };
  EXPECT_TRUE(fetch());
  nginx.Reload();
  EXPECT_TRUE(fetch());
  for (const int signal : {SIGTERM, SIGQUIT}) {
    nginx.Stop(signal);
    EXPECT_EQ(RunCurl(lab.client(), options).status, 7);  // CURLE_COULDNT_CONNECT
    nginx.Start();
    EXPECT_TRUE(fetch());
  }
  EXPECT_EQ(lab.server().Run("stat -c %U /proc/" + std::to_string(nginx.Workers()[0])),
            "www-data\n");
}

TEST(Shaping, LinkCarriesNoMoreThanItsRateAllows) {
  Lab lab({.links = 1});
  constexpr int kMbit = 40;
  lab.Shape(1, kMbit);
  Nginx nginx(lab, lab.server());
  constexpr uint64_t kSize = 8 * kMiB;
  WriteRandomFile(nginx.www() + "/file", kSize);
  nginx.Start();
  const InterfaceCounters before = lab.client().Counters("l1");
  const CurlResult result = RunCurl(
      lab.client(), {.url = UrlOf("http", lab.Address(lab.server(), 1, Family::kV4), "/file")});
  ASSERT_EQ(result.status, 0) << result.error;
  const uint64_t bytes = lab.client().Counters("l1").rx_bytes - before.rx_bytes;
  // The file and at most a tenth more for headers and retransmissions.
  EXPECT_GE(bytes, kSize);
  EXPECT_LE(bytes, kSize + kSize / 10);
  // What left in this time is at most rate times time and one burst, however busy the machine.
  EXPECT_LE(static_cast<double>(kSize), result.seconds * kMbit * 1e6 / 8 + 128 * 1024 * 1.05);
}

}  // namespace
}  // namespace mptcptls::lab
