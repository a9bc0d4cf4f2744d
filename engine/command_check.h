// `mptcptls check`: will a program be captured, what of it will not, and where would the keys of
// its TLS come from?
#ifndef MPTCPTLS_ENGINE_COMMAND_CHECK_H_
#define MPTCPTLS_ENGINE_COMMAND_CHECK_H_

#include <absl/strings/string_view.h>

#include <string>

namespace mptcptls::command {

struct CheckOptions {
  std::string program;
  std::string library;  // empty: DefaultLibrary()
};

// Where TLS keys of a program come from. `listing` is its loader's; `own` tells that the program's
// file itself has a TLS library in it.
std::string KeySource(absl::string_view listing, bool own);

// Whether the file contains what each TLS library does that writes key logs: the labels of these.
bool HasOwnTls(const std::string& file);

// The exit code: success when the library will load and has an engine, or can start one.
int Check(const CheckOptions& options);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_CHECK_H_
