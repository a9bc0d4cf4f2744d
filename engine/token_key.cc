#include "engine/token_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/descriptor.h"

namespace mptcptls {
namespace {

absl::Status Wrong(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", what, "; made by: (umask 077; openssl rand -hex 16 > ", path, ")"));
}

}  // namespace

absl::StatusOr<TokenKey> ReadTokenKey(const std::string& path) {
  // A FIFO or a device must not hold the engine up.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return Wrong(path, strerror(errno));
  struct stat about;
  if (fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    return Wrong(path, "not a file");
  }
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Wrong(path, "others than its owner have rights to it (chmod 600)");
  }
  char text[64];
  const ssize_t size = read(file.get(), text, sizeof text);
  TokenKey key;
  const absl::string_view digits = absl::StripSuffix(
      absl::string_view(text, static_cast<size_t>(std::max<ssize_t>(size, 0))), "\n");
  if (digits.size() != 2 * key.size() || !absl::c_all_of(digits, absl::ascii_isxdigit)) {
    return Wrong(path, "not 32 hexadecimal digits");
  }
  const std::string bytes = absl::HexStringToBytes(digits);
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

}  // namespace mptcptls
