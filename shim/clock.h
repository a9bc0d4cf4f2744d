#ifndef MPTCPTLS_SHIM_CLOCK_H_
#define MPTCPTLS_SHIM_CLOCK_H_

#include <stdint.h>
#include <time.h>

namespace mptcptls::shim {

// Milliseconds of CLOCK_MONOTONIC.
inline int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000} + now.tv_nsec / 1000000;
}

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CLOCK_H_
