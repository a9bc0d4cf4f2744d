// MPTCPTLS_LOG=stderr|FILE: one line per decision of the shim. Silent without it; never a key.
#ifndef MPTCPTLS_SHIM_LOG_H_
#define MPTCPTLS_SHIM_LOG_H_

namespace mptcptls::shim {

// Opens, writes and closes, as no descriptor is kept. Keeps errno.
void Log(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_LOG_H_
