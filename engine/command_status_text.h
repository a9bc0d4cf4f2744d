// The engine's status (JSON, schema in tests/unit/engine/command_status_test.cc) as text for
// people.
#ifndef MPTCPTLS_ENGINE_COMMAND_STATUS_TEXT_H_
#define MPTCPTLS_ENGINE_COMMAND_STATUS_TEXT_H_

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <string>

namespace mptcptls::command {

struct StatusTextOptions {
  size_t columns = 0;  // the terminal's; 0: lines may be as long as they like
  bool all = false;    // every closed connection, the capability cache, the counters
};
inline constexpr size_t kClosedShown = 10;

// An error, whatever `json` holds, when it is not a status.
absl::StatusOr<std::string> StatusText(absl::string_view json, const StatusTextOptions& options);
// Of it, the capability cache alone.
absl::StatusOr<std::string> CacheText(absl::string_view json, size_t columns);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_STATUS_TEXT_H_
