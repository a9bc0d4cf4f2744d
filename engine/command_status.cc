#include "engine/command_status.h"

#include "engine/command_error.h"
#include "engine/command_output.h"
#include "engine/command_status_text.h"
#include "engine/control_connection.h"

namespace mptcptls::command {

absl::StatusOr<std::string> FetchStatus() {
  auto connection = ControlConnection::Open();
  if (!connection.ok()) return connection.status();
  const auto request = control::Make<control::StatusRequest>(control::Verb::kStatus);
  const absl::Status sent = connection->Send(&request, sizeof request);
  if (!sent.ok()) return sent;
  const auto reply = connection->AwaitReply();
  if (!reply.ok()) return reply.status();
  return connection->AwaitPayload(reply->payload_length);
}

int ShowStatus(const StatusOptions& options) {
  const auto json = FetchStatus();
  if (!json.ok()) return Fail(json.status());
  if (options.json) return Print(*json);
  const auto text = StatusText(*json, {.columns = TerminalColumns(), .all = options.all});
  if (!text.ok()) return Fail(text.status());
  return Print(*text);
}

}  // namespace mptcptls::command
