#include "engine/command_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/command_error.h"
#include "engine/command_preload.h"

namespace mptcptls::command {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kLibc[] = "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f5932c00000)\n";

std::string Line(const std::string& file) {
  return "\t" + file + " => /lib/x86_64-linux-gnu/" + file + " (0x00007f5933000000)\n";
}

TEST(KeySource, IsTheLibraryThatIsLinked) {
  EXPECT_EQ(KeySource(Line("libgnutls.so.30") + kLibc, false), "from GnuTLS (libgnutls.so.30)");
  EXPECT_EQ(KeySource(kLibc + Line("libssl.so.3"), false), "from OpenSSL (libssl.so.3)");
  EXPECT_EQ(KeySource(Line("libssl.so.1.1") + Line("libgnutls.so.30"), false),
            "from OpenSSL (libssl.so.1.1) and GnuTLS (libgnutls.so.30)");
}

TEST(KeySource, OthersNeedAKeyLog) {
  EXPECT_THAT(KeySource(Line("libssl3.so"), false),
              AllOf(StartsWith("not from NSS (libssl3.so)"), HasSubstr("run --keylog")));
  EXPECT_THAT(KeySource(kLibc, true),
              AllOf(StartsWith("not from a TLS library in its own file"), HasSubstr("--keylog")));
  EXPECT_THAT(KeySource(Line("libgnutls.so.30"), true),
              AllOf(StartsWith("from GnuTLS"), HasSubstr("not from a TLS library in its own")));
}

TEST(KeySource, MayComeLater) {
  EXPECT_THAT(KeySource(kLibc, false), StartsWith("no TLS library is linked"));
  EXPECT_THAT(KeySource("", false), StartsWith("no TLS library is linked"));
  // A folder of that name is none.
  EXPECT_THAT(KeySource("\tlibx.so => /opt/libssl.so.3/libx.so (0x1)\n", false),
              StartsWith("no TLS library is linked"));
}

TEST(KeySource, OfDebiansPrograms) {
  const auto curl = LoaderListing("/usr/bin/curl", "");
  ASSERT_TRUE(curl.ok()) << curl.status();
  EXPECT_THAT(KeySource(*curl, HasOwnTls("/usr/bin/curl")), HasSubstr("OpenSSL (libssl.so.3)"));
  const auto wget = LoaderListing("/usr/bin/wget", "");
  ASSERT_TRUE(wget.ok()) << wget.status();
  EXPECT_EQ(KeySource(*wget, HasOwnTls("/usr/bin/wget")), "from GnuTLS (libgnutls.so.30)");
}

TEST(HasOwnTls, LooksIntoTheFile) {
  char folder[] = "/tmp/mptcptls-check-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/program";
  std::ofstream(file) << std::string(5000, 'x') << "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
  EXPECT_TRUE(HasOwnTls(file));
  std::ofstream(file) << "CLIENT_HANDSHAKE_TRAFFIC_SECRE";
  EXPECT_FALSE(HasOwnTls(file));
  std::ofstream(file) << "";
  EXPECT_FALSE(HasOwnTls(file));
  EXPECT_FALSE(HasOwnTls(folder));
  EXPECT_FALSE(HasOwnTls(file + "-missing"));
  std::filesystem::remove_all(folder);
}

TEST(Check, UnknownProgramIsToldSo) {
  EXPECT_EQ(Check({.program = "no-such-program-of-ours", .library = ""}), kNoSuchProgram);
}

}  // namespace
}  // namespace mptcptls::command
