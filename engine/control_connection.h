// The client end of the control protocol (control.h) for the mptcptls command. Every wait is
// bounded; every error names cause and remedy.
#ifndef MPTCPTLS_ENGINE_CONTROL_CONNECTION_H_
#define MPTCPTLS_ENGINE_CONTROL_CONNECTION_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "engine/command_descriptor.h"
#include "engine/control.h"

namespace mptcptls::command {

using Clock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds kAnswerWait{5};
// No status is anywhere near this; a greater length is nonsense.
inline constexpr uint32_t kMaxPayload = 256u << 20;

// Milliseconds until `deadline` for poll(), rounded up, 0 when it is over.
int MillisecondsUntil(Clock::time_point deadline);

// kDump and kDown have no more to say than their verb.
inline control::Header BareRequest(control::Verb verb) {
  control::Header header;
  header.verb = verb;
  header.length = sizeof header;
  return header;
}

class ControlConnection {
 public:
  // kNotFound: no engine is running. kPermissionDenied: its name is held by somebody whom we do not
  // trust (neither root nor our own uid).
  static absl::StatusOr<ControlConnection> Open();

  // A whole message; `descriptor` (-1: none) rides on its first byte.
  absl::Status Send(const void* message, size_t size, int descriptor = -1);
  // The reply to what was sent. A refusal is an error that explains it (never ok with error != 0);
  // kUnimplemented: the engine is of another version.
  absl::StatusOr<control::Reply> AwaitReply();
  absl::StatusOr<std::string> AwaitPayload(uint32_t length);

  int descriptor() const { return socket_.get(); }
  // By SO_PEERCRED: who listens. 0 when it lives in a pid namespace that we do not see.
  pid_t engine() const { return engine_; }

 private:
  ControlConnection(Descriptor socket, pid_t engine)
      : socket_(std::move(socket)), engine_(engine) {}
  absl::Status Receive(void* out, size_t size, Clock::time_point deadline);
  absl::Status Explain(const control::Reply& reply) const;
  absl::Status OtherVersion(uint32_t version) const;
  std::string Who() const;  // "the engine (pid 12)"

  Descriptor socket_;
  pid_t engine_;
};

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_CONTROL_CONNECTION_H_
