// The product and the kernel's MPTCP: each row of scripts/interop.sh is a test.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/netns/interop_rows.h"

namespace mptcptls::lab {
namespace {

// "kernel announces, we join" as client over IPv4: client_kernel_announces__we_join_v4.
std::string TestName(const testing::TestParamInfo<InteropRow>& row) {
  std::string name = row.param.options.we == Role::kClient ? "client_" : "server_";
  for (const char c : row.param.name) {
    if (isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else if (name.back() != '_') {
      name += '_';
    }
  }
  return name + (row.param.options.family == Family::kV4 ? "_v4" : "_v6");
}

class Kernel : public testing::TestWithParam<InteropRow> {};

TEST_P(Kernel, AndWe) {
  try {
    Interop interop(GetParam().options);
    GetParam().run(interop);
  } catch (const std::exception& error) {
    FAIL() << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Joins, Kernel, testing::ValuesIn(JoinRows()), TestName);
INSTANTIATE_TEST_SUITE_P(Addresses, Kernel, testing::ValuesIn(AddressRows()), TestName);
INSTANTIATE_TEST_SUITE_P(Priorities, Kernel, testing::ValuesIn(PriorityRows()), TestName);
INSTANTIATE_TEST_SUITE_P(Ends, Kernel, testing::ValuesIn(EndRows()), TestName);
INSTANTIATE_TEST_SUITE_P(Fallbacks, Kernel, testing::ValuesIn(FallbackRows()), TestName);
INSTANTIATE_TEST_SUITE_P(Programs, Kernel, testing::ValuesIn(ProgramRows()), TestName);

}  // namespace
}  // namespace mptcptls::lab
