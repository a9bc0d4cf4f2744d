// The operator's key for encrypted tokens (PROTOCOL.md 6): a file of 32 hexadecimal digits that
// only its owner may read.
#ifndef MPTCPTLS_ENGINE_TOKEN_KEY_H_
#define MPTCPTLS_ENGINE_TOKEN_KEY_H_

#include <string>

#include "absl/status/statusor.h"
#include "stack/host.h"

namespace mptcptls {

// The error says what is wrong with the file and how it is made right; never what it contains.
absl::StatusOr<TokenKey> ReadTokenKey(const std::string& path);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_TOKEN_KEY_H_
