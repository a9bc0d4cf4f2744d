// The key oracle on kernel TCP: both ends of a handshake export the same key, and each handshake
// another.
#include "tests/netns/oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

class Oracle : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tls, Oracle, testing::Values("1.2", "1.3"),
                         [](const auto& tls) { return std::string("v1") + tls.param[2]; });

TEST_P(Oracle, BothEndsExportTheSameKey) {
  Lab lab({.links = 1});
  Nginx nginx(lab, lab.server());
  WriteRandomFile(nginx.www() + "/file", 1000);
  const KeyOracle oracle(lab.folder() + "/keys");
  const std::vector<std::string> env = {"LD_PRELOAD=" + KeyOracle::Library(), oracle.Variable()};
  nginx.Start(env);
  for (size_t count = 1; count <= 2; ++count) {
    const CurlResult result = RunCurl(
        lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, Family::kV4), "/file"),
                       .ca = nginx.certificate(),
                       .tls = GetParam(),
                       .env = env});
    ASSERT_EQ(result.status, 0) << result.error;
    ASSERT_TRUE(Eventually([&] { return oracle.Lines().size() == 2 * count; }));
  }
  const std::vector<OracleLine> lines = oracle.Lines();
  for (const OracleLine& line : lines) {
    EXPECT_EQ(line.protocol, std::string("TLSv") + GetParam());
    EXPECT_EQ(line.client_random.size(), 64u);
    EXPECT_EQ(line.key.size(), 32u);
  }
  for (const size_t i : {0, 2}) {
    EXPECT_EQ(lines[i].client_random, lines[i + 1].client_random);
    EXPECT_EQ(lines[i].key, lines[i + 1].key);
    EXPECT_NE(lines[i].role, lines[i + 1].role);
  }
  EXPECT_NE(lines[0].key, lines[2].key);
}

}  // namespace
}  // namespace mptcptls::lab
