// The main job in all its variants: curl and nginx, both preloaded and otherwise untouched, over
// two links of 50 Mbit/s, with kernel MPTCP off and no way back to kernel TCP.
#include "tests/netns/main_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/netns/capture.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using testing::IsEmpty;

using Variant = std::tuple<Family, const char*, Direction>;

class MainJobTest : public testing::TestWithParam<Variant> {};

std::string VariantName(const testing::TestParamInfo<Variant>& variant) {
  const auto& [family, tls, direction] = variant.param;
  return std::string(family == Family::kV4 ? "v4" : "v6") + "_tls1" + tls[2] +
         (direction == Direction::kDownload ? "_download" : "_upload");
}

INSTANTIATE_TEST_SUITE_P(
    TwoLinks, MainJobTest,
    testing::Combine(testing::Values(Family::kV4, Family::kV6), testing::Values("1.3", "1.2"),
                     testing::Values(Direction::kDownload, Direction::kUpload)),
    VariantName);

TEST_P(MainJobTest, UsesBothLinksUnderTlsKeys) {
  const auto& [family, tls, direction] = GetParam();
  MainJob job({.family = family, .tls = tls, .direction = direction, .single_size = 24 * kMiB});
  const TransferResult one = job.RunOverOneLink();

  Lab& lab = job.lab();
  Capture first(lab.client(), "l1", lab.folder() + "/l1.pcap", "tcp port 443", 160);
  Capture second(lab.client(), "l2", lab.folder() + "/l2.pcap", "tcp port 443", 160);
  const TransferResult all = job.RunOverAllLinks();
  first.Stop();
  second.Stop();
  EXPECT_THAT(Complaints(one, all), IsEmpty()) << (all.client ? all.client->json : "no engine");
  // The mode by the wire, not by what we say of ourselves.
  EXPECT_EQ(ModeOf(MergeTraces({first.file(), second.file()})), "tls-auth");
  EXPECT_LT(all.link_bytes[0] + all.link_bytes[1], all.size + all.size / 7);
}

}  // namespace
}  // namespace mptcptls::lab
