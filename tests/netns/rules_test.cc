// The configuration's rules, by real programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Rules, OneProgramStaysWithTheKernelAndAnotherDoesNot) {
  const Lab lab(LabOptions{});
  Nginx nginx(lab, lab.server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", 2 * kMiB);
  nginx.Start(Product::Environment());
  const std::string file = lab.folder() + "/engine.toml";
  WriteFile(file, "[[rule]]\nprogram = \"cur?\"\nto = \"10.9.0.0/16:443\"\nbypass = true\n");
  const std::string url = UrlOf("https", lab.Address(lab.server(), 1, Family::kV4), "/file");
  const std::string copy = lab.folder() + "/copy";
  std::vector<std::string> env = Product::Environment();
  env.push_back("MPTCPTLS_CONFIG=" + file);
  env.push_back("MPTCPTLS_LOG=" + lab.folder() + "/shim.log");

  // MPTCPTLS_REQUIRE does not count for what is never captured.
  const CurlResult curl =
      RunCurl(lab.client(), {.url = url, .output = copy, .ca = nginx.certificate(), .env = env});
  EXPECT_EQ(curl.status, 0) << curl.error;
  EXPECT_EQ(FileSha256(copy), sum);
  EXPECT_THAT(ConnectionsOf(lab.client()), IsEmpty());
  EXPECT_THAT(ReadFile(lab.folder() + "/shim.log"),
              HasSubstr("bypassed by the rule in line 1 of " + file));

  const auto wget = lab.client().Start({.argv = {"wget", "--no-config", "-nv", "--ca-certificate",
                                                 nginx.certificate(), "-O", copy, url},
                                        .env = env});
  EXPECT_EQ(wget->Wait(), 0) << wget->err();
  EXPECT_EQ(FileSha256(copy), sum);
  const auto connections = ConnectionsOf(lab.client());
  ASSERT_THAT(connections, SizeIs(1));
  EXPECT_EQ(connections[0].mode, "tls-auth");

  // mptcptls check says so beforehand.
  const auto check =
      lab.client().Start({.argv = {Product::Command(), "check", "curl"}, .env = env});
  EXPECT_EQ(check->Wait(), 0) << check->err();
  EXPECT_THAT(check->out(), HasSubstr(file + ":1: program cur?, to 10.9.0.0/16:443: stays with"));
}

}  // namespace
}  // namespace mptcptls::lab
