// Starts the engine of this network namespace (ARCHITECTURE.md 6).
#ifndef MPTCPTLS_SHIM_ENGINE_START_H_
#define MPTCPTLS_SHIM_ENGINE_START_H_

namespace mptcptls::shim {

// Runs MPTCPTLS_ENGINE, else <this library's directory>/../bin/mptcptlsd, and waits at most two
// seconds for it to be ready. False when it is not; then nothing is tried again for ten seconds.
// Only root can start one. Keeps errno.
bool StartEngine();

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_ENGINE_START_H_
