// What people see of a contest: a table, a chart, and JSON for programs.
#ifndef MPTCPTLS_TESTS_BENCH_REPORT_H_
#define MPTCPTLS_TESTS_BENCH_REPORT_H_

#include <string>

#include "tests/bench/throughput.h"

namespace mptcptls::bench {

std::string ToTable(const Results& results);
std::string ToChart(const Results& results);
std::string ToJson(const Results& results);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_REPORT_H_
