// Real programs: each fast row of scripts/apps.sh is a test, with the product at both ends.
#include <gtest/gtest.h>

#include "tests/apps/rows.h"

namespace mptcptls::lab {
namespace {

std::vector<AppRow> TestedRows() {
  std::vector<AppRow> rows = AllAppRows();
  std::erase_if(rows, [](const AppRow& row) { return !row.tested; });
  return rows;
}

// "apache-prefork": apache_prefork.
std::string TestName(const testing::TestParamInfo<AppRow>& row) {
  std::string name = row.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class RealPrograms : public testing::TestWithParam<AppRow> {};

TEST_P(RealPrograms, DoTheirJob) {
  try {
    RunRow(GetParam(), Preloaded::kBoth);
  } catch (const std::exception& error) {
    FAIL() << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, RealPrograms, testing::ValuesIn(TestedRows()), TestName);

}  // namespace
}  // namespace mptcptls::lab
