// `mptcptls down`: ends the engine, and with it all that it set up on the host.
#ifndef MPTCPTLS_ENGINE_COMMAND_DOWN_H_
#define MPTCPTLS_ENGINE_COMMAND_DOWN_H_

#include <absl/status/status.h>

#include <chrono>

namespace mptcptls::command {

inline constexpr std::chrono::seconds kDownWait{10};

// Ok when the engine is gone, kNotFound when there was none.
absl::Status EndEngine(std::chrono::milliseconds patience = kDownWait);
// Returns the exit code; no engine is a success.
int TakeDown();

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_DOWN_H_
