// Which file execvp() starts for a name, and which ELF file runs in the end when it is a script.
#ifndef MPTCPTLS_ENGINE_COMMAND_PROGRAM_H_
#define MPTCPTLS_ENGINE_COMMAND_PROGRAM_H_

#include <absl/status/statusor.h>

#include <string>

namespace mptcptls::command {

// kNotFound, or kPermissionDenied when there is such a file that cannot be executed. `search` is
// $PATH; nullptr when it is not set.
absl::StatusOr<std::string> FindProgram(const std::string& name, const char* search);

// Follows "#!" lines (and `/usr/bin/env NAME`, the most common of them) from `path` to a file that
// is no script. A file that has no such line and is no ELF file is the shell's, as in execvp().
absl::StatusOr<std::string> FollowScripts(const std::string& path, const char* search);

// What /proc/PID/comm will say when `path` is executed and `file` is what FollowScripts() made of
// it: a script has its own name, unless env(1) starts its interpreter.
std::string ProcessName(const std::string& path, const std::string& file);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_PROGRAM_H_
