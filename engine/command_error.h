// How every subcommand of mptcptls ends: exit codes, and one line on stderr that names cause and
// remedy.
#ifndef MPTCPTLS_ENGINE_COMMAND_ERROR_H_
#define MPTCPTLS_ENGINE_COMMAND_ERROR_H_

#include <absl/status/status.h>

#include <cstdio>
#include <string>

namespace mptcptls::command {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;
// As shells do for what they cannot start.
inline constexpr int kCannotExecute = 126;
inline constexpr int kNoSuchProgram = 127;

inline int Fail(const absl::Status& error, int exit_code = kFailure) {
  fprintf(stderr, "mptcptls: %s\n", std::string(error.message()).c_str());
  return exit_code;
}

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_ERROR_H_
