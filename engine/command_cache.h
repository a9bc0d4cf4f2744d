// `mptcptls cache`: what destinations are known to speak (PROTOCOL.md 1), to see and to forget.
#ifndef MPTCPTLS_ENGINE_COMMAND_CACHE_H_
#define MPTCPTLS_ENGINE_COMMAND_CACHE_H_

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "engine/control.h"

namespace mptcptls::command {

struct CacheOptions {
  bool clear = false;
  std::string destination;  // what to forget, "192.0.2.1" or "[2001:db8::1]:443"; empty: everything
};

// The destination that `text` names; port 0: every port.
absl::StatusOr<control::Address> ToDestination(absl::string_view text);
// What the engine says it has forgotten.
absl::StatusOr<std::string> Forget(const control::Address& destination);

int RunCache(const CacheOptions& options);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_CACHE_H_
