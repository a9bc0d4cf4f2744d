// `mptcptls status`: what the engine does.
#ifndef MPTCPTLS_ENGINE_COMMAND_STATUS_H_
#define MPTCPTLS_ENGINE_COMMAND_STATUS_H_

#include <absl/status/statusor.h>

#include <string>

namespace mptcptls::command {

struct StatusOptions {
  bool json = false;  // as the engine sent it
  bool all = false;
};

absl::StatusOr<std::string> FetchStatus();
// Returns the exit code.
int ShowStatus(const StatusOptions& options);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_STATUS_H_
