#include "engine/command_run.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "engine/command_error.h"
#include "engine/command_keylog.h"
#include "engine/command_preload.h"
#include "engine/command_program.h"
#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

bool TakesValue(const std::string& option) {
  return option == "--auth" || option == "--scheduler" || option == "--log" ||
         option == "--library";
}

// Programs change their folder: a relative path must not follow them.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

int ExitCode(const absl::Status& status) {
  if (absl::IsNotFound(status)) return kNoSuchProgram;
  return absl::IsPermissionDenied(status) ? kCannotExecute : kFailure;
}

void SetVariables(const RunOptions& options, const std::string& preload) {
  setenv("LD_PRELOAD", preload.c_str(), 1);
  if (!options.auth.empty()) setenv("MPTCPTLS_AUTH", options.auth.c_str(), 1);
  if (!options.scheduler.empty()) setenv("MPTCPTLS_SCHEDULER", options.scheduler.c_str(), 1);
  if (options.require) setenv("MPTCPTLS_REQUIRE", "1", 1);
  if (options.log.empty()) return;
  const std::string log = options.log == "stderr" ? options.log : Absolute(options.log);
  setenv("MPTCPTLS_LOG", log.c_str(), 1);
}

}  // namespace

size_t ProgramStart(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") return i + 1;
    if (!absl::StartsWith(arguments[i], "-")) return i;
    if (TakesValue(arguments[i])) ++i;
  }
  return arguments.size();
}

std::string DefaultLibrary() {
  std::error_code error;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
  return (executable.parent_path().parent_path() / "lib/libmptcptls.so").string();
}

absl::StatusOr<std::string> CheckRun(const RunOptions& options) {
  const char* const search = getenv("PATH");
  const auto path = FindProgram(options.program.at(0), search);
  if (!path.ok()) return path.status();
  const auto file = FollowScripts(*path, search);
  if (!file.ok()) return file.status();
  const std::string library =
      options.library.empty() ? DefaultLibrary() : Absolute(options.library);
  std::string preload = AppendPreload(getenv("LD_PRELOAD"), library);
  const absl::Status verified = VerifyPreload(*file, library, preload);
  if (!verified.ok()) return verified;
  return preload;
}

int Run(const RunOptions& options) {
  const auto preload = CheckRun(options);
  if (!preload.ok()) return Fail(preload.status(), ExitCode(preload.status()));
  SetVariables(options, *preload);
  if (options.keylog) {
    const char* const log = getenv("MPTCPTLS_LOG");
    const absl::Status set_up = SetUpKeyLog(log == nullptr ? "" : log);
    if (!set_up.ok()) return Fail(set_up);
  }
  std::vector<char*> arguments;
  for (const std::string& word : options.program)
    arguments.push_back(const_cast<char*>(word.data()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  return Fail(absl::InternalError(absl::StrCat(Printable(options.program[0]),
                                               " cannot be started: ", strerror(error))),
              error == ENOENT ? kNoSuchProgram : kCannotExecute);
}

}  // namespace mptcptls::command
