// What people see of the comparison with the kernel's TCP: a table with its summary, and JSON.
#ifndef MPTCPTLS_TESTS_BENCH_TCP_REPORT_H_
#define MPTCPTLS_TESTS_BENCH_TCP_REPORT_H_

#include <string>

#include "tests/bench/fairness.h"
#include "tests/bench/tcp_grid.h"

namespace mptcptls::bench {

std::string ToTable(const TcpResults& results);
std::string ToJson(const TcpResults& results);
std::string ToTable(const FairnessResults& results);
std::string ToJson(const FairnessResults& results);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_TCP_REPORT_H_
