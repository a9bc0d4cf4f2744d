// Paths come and go in the middle of a transfer: nothing is lost, the other link carries on, and
// the first is used again by itself when it is back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

enum class Failure { kAdminDown, kCarrier, kBlackhole };

using Variant = std::tuple<Family, Failure, int>;

class Paths : public testing::TestWithParam<Variant> {};

std::string VariantName(const testing::TestParamInfo<Variant>& variant) {
  constexpr const char* kFailures[] = {"admin_down", "carrier", "blackhole"};
  const auto& [family, failure, link] = variant.param;
  return std::string(family == Family::kV4 ? "v4_" : "v6_") + kFailures[static_cast<int>(failure)] +
         "_link" + std::to_string(link);
}

INSTANTIATE_TEST_SUITE_P(MidTransfer, Paths,
                         testing::Combine(testing::Values(Family::kV4, Family::kV6),
                                          testing::Values(Failure::kAdminDown, Failure::kCarrier,
                                                          Failure::kBlackhole),
                                          testing::Values(1, 2)),
                         VariantName);

void Break(Lab& lab, Failure failure, int link) {
  switch (failure) {
    case Failure::kAdminDown:
      return lab.AdminDown(lab.client(), link);
    case Failure::kCarrier:
      return lab.CarrierOff(lab.client(), link);
    case Failure::kBlackhole:
      return lab.BlackholeOn(link);
  }
}

void Mend(Lab& lab, Failure failure, int link) {
  switch (failure) {
    case Failure::kAdminDown:
      return lab.AdminUp(lab.client(), link);
    case Failure::kCarrier:
      return lab.CarrierOn(lab.client(), link);
    case Failure::kBlackhole:
      return lab.BlackholeOff(link);
  }
}

TEST_P(Paths, TransferGoesOnAndThePathComesBack) {
  const auto& [family, failure, broken] = GetParam();
  // Gateway routes are lost with admin down, so that case has them to lose.
  Lab lab({.middle = failure == Failure::kAdminDown ? Middle::kRouter : Middle::kBridge});
  for (const int link : {1, 2}) lab.Shape(link, 50);
  Nginx nginx(lab, lab.server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", 128 * kMiB);
  nginx.Start(Product::Environment());
  const std::string copy = lab.folder() + "/copy";
  const auto curl =
      StartCurl(lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, family), "/file"),
                               .output = copy,
                               .ca = nginx.certificate(),
                               .env = Product::Environment()});
  const auto received = [&lab = lab](int link) {
    return lab.client().Counters(Lab::Interface(link)).rx_bytes;
  };
  // True when a link has received this much more; false when it does not come, or curl ended.
  const auto carries = [&](int link, uint64_t more) {
    const uint64_t goal = received(link) + more;
    return Eventually([&] { return received(link) >= goal || !curl->Running(); }) &&
           received(link) >= goal;
  };
  for (const int link : {1, 2}) ASSERT_TRUE(carries(link, 2 * kMiB)) << link << curl->err();
  Break(lab, failure, broken);
  ASSERT_TRUE(carries(3 - broken, 4 * kMiB)) << "the other link carries on " << curl->err();
  Mend(lab, failure, broken);
  EXPECT_TRUE(carries(broken, 2 * kMiB)) << "the path comes back";
  const CurlResult result = FinishCurl(*curl, std::chrono::seconds(60));
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(FileSha256(copy), sum);
}

}  // namespace
}  // namespace mptcptls::lab
