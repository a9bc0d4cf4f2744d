// `mptcptls run --keylog`: a process of its own reads what the program writes into its key log, and
// hands the secrets to the engine. Nothing is ever in a file.
#ifndef MPTCPTLS_ENGINE_COMMAND_KEYLOG_H_
#define MPTCPTLS_ENGINE_COMMAND_KEYLOG_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

namespace mptcptls::command {

// Starts the reader of a pipe, which lives until this process (the program, later) has ended and
// nobody has the pipe open any more. Returns a name under which it can be opened for writing, also
// by children and as often as they like: /proc/READER/fd/N. `log`: MPTCPTLS_LOG's value, "": none;
// it is told of lines that cannot be read.
absl::StatusOr<std::string> StartKeyLogReader(const std::string& log);

// Sets SSLKEYLOGFILE (curl, python, programs of NSS ...), NODE_OPTIONS and MPTCPTLS_KEYLOG in the
// environment. Fails where a key log is asked for already: one goes to one place only.
absl::Status SetUpKeyLog(const std::string& log);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_KEYLOG_H_
