// What `mptcptls status --json` prints: all that the engine knows of itself, as one JSON text.
#ifndef MPTCPTLS_ENGINE_STATUS_H_
#define MPTCPTLS_ENGINE_STATUS_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "engine/engine.h"

namespace mptcptls {

// With `only`: what belongs to this user alone.
std::string StatusText(const Engine& engine, std::optional<uid_t> only);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_STATUS_H_
