// `mptcptls run`: starts a program with the library preloaded, once it is certain that it will be.
#ifndef MPTCPTLS_ENGINE_COMMAND_RUN_H_
#define MPTCPTLS_ENGINE_COMMAND_RUN_H_

#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace mptcptls::command {

struct RunOptions {
  std::string auth;       // MPTCPTLS_AUTH; empty: as it is in the environment
  std::string scheduler;  // MPTCPTLS_SCHEDULER; the same
  bool require = false;   // MPTCPTLS_REQUIRE=1
  bool keylog = false;    // keys come from the program's key log
  std::string log;        // MPTCPTLS_LOG; empty: as it is in the environment
  std::string library;    // empty: DefaultLibrary()
  std::vector<std::string> program;
};

// Where the command line of `run` turns into the program's: after "--", else at the first word that
// is neither an option nor an option's value. `arguments` begins after "run".
size_t ProgramStart(const std::vector<std::string>& arguments);

// <folder of this executable>/../lib/libmptcptls.so
std::string DefaultLibrary();

// kNotFound or kPermissionDenied as FindProgram() has it, else why the library will not load. On
// success LD_PRELOAD's value.
absl::StatusOr<std::string> CheckRun(const RunOptions& options);

// Does not return when the program runs; otherwise the exit code.
int Run(const RunOptions& options);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_RUN_H_
