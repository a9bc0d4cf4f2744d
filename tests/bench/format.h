// printf() into a string.
#ifndef MPTCPTLS_TESTS_BENCH_FORMAT_H_
#define MPTCPTLS_TESTS_BENCH_FORMAT_H_

#include <string>

namespace mptcptls::bench {

// At most 999 characters of it.
[[gnu::format(printf, 1, 2)]] std::string Format(const char* format, ...);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_FORMAT_H_
