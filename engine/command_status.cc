#include "engine/command_status.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/command_error.h"
#include "engine/command_status_text.h"
#include "engine/control_connection.h"

namespace mptcptls::command {
namespace {

size_t TerminalColumns() {
  winsize size = {};
  return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int Print(const std::string& text) {
  const bool ended = !text.empty() && text.back() == '\n';
  if (fwrite(text.data(), 1, text.size(), stdout) == text.size() && (ended || puts("") >= 0) &&
      fflush(stdout) == 0)
    return kSuccess;
  return Fail(absl::ErrnoToStatus(errno, "cannot write the status"));
}

}  // namespace

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
