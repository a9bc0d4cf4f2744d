#include "engine/command_cache.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <string.h>

#include "engine/command_error.h"
#include "engine/command_output.h"
#include "engine/command_status.h"
#include "engine/command_status_text.h"
#include "engine/command_text.h"
#include "engine/control_connection.h"

namespace mptcptls::command {

absl::StatusOr<control::Address> ToDestination(absl::string_view text) {
  std::string address(text), port;
  const size_t colon = address.rfind(':');
  if (!address.empty() && address.front() == '[') {
    const size_t end = address.find(']');
    if (end != std::string::npos) {
      port = address.substr(end + 1);
      address = address.substr(1, end - 1);
    }
  } else if (colon != std::string::npos && address.find(':') == colon) {
    port = address.substr(colon);
    address.resize(colon);
  }
  control::Address out;
  uint32_t number = 0;
  const bool port_good =
      port.empty() || (port.front() == ':' && absl::SimpleAtoi(port.substr(1), &number) &&
                       number > 0 && number <= UINT16_MAX);
  out.port = static_cast<uint16_t>(number);
  if (inet_pton(AF_INET, address.c_str(), out.bytes) == 1) {
    out.family = 4;
  } else if (inet_pton(AF_INET6, address.c_str(), out.bytes) == 1) {
    out.family = 6;
  }
  if (out.family != 0 && port_good) return out;
  return absl::InvalidArgumentError(absl::StrCat("\"", Printable(text),
                                                 "\" is no destination: 192.0.2.1, 192.0.2.1:443, ",
                                                 "2001:db8::1 or [2001:db8::1]:443 is meant"));
}

absl::StatusOr<std::string> Forget(const control::Address& destination) {
  auto connection = ControlConnection::Open();
  if (!connection.ok()) return connection.status();
  auto request = control::Make<control::ForgetRequest>(control::Verb::kForget);
  request.destination = destination;
  const absl::Status sent = connection->Send(&request, sizeof request);
  if (!sent.ok()) return sent;
  const auto reply = connection->AwaitReply();
  if (!reply.ok()) return reply.status();
  return Printable(absl::string_view(reply->reason, strnlen(reply->reason, sizeof reply->reason)));
}

int RunCache(const CacheOptions& options) {
  if (!options.clear) {
    const auto json = FetchStatus();
    if (!json.ok()) return Fail(json.status());
    const auto text = CacheText(*json, TerminalColumns());
    return text.ok() ? Print(*text) : Fail(text.status());
  }
  absl::StatusOr<control::Address> destination = control::Address();
  if (!options.destination.empty()) destination = ToDestination(options.destination);
  if (!destination.ok()) return Fail(destination.status());
  const auto forgotten = Forget(*destination);
  return forgotten.ok() ? Print(*forgotten) : Fail(forgotten.status());
}

}  // namespace mptcptls::command
