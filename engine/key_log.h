// The NSS key log format (draft-ietf-tls-keylogfile): from bytes, in any pieces, to the lines of
// which a key can be made.
#ifndef MPTCPTLS_ENGINE_KEY_LOG_H_
#define MPTCPTLS_ENGINE_KEY_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/control.h"

namespace mptcptls::command {

enum class KeyLogLine : uint8_t {
  kSecret,  // EXPORTER_SECRET or CLIENT_RANDOM
  kOther,   // well-formed, but no key comes of it: other labels, comments, empty lines
  kBad
};

// `line` without its end. Fills `message` when it is a secret.
KeyLogLine ParseKeyLogLine(std::string_view line, control::SecretMessage* message);

class KeyLogReader {
 public:
  static constexpr size_t kMaxLine = 512;  // a good line has at most 32 + 64 + 128 bytes and blanks

  // `on_secret` gets each secret; what it gets is wiped afterwards.
  explicit KeyLogReader(std::function<void(const control::SecretMessage&)> on_secret);
  // What is held of an incomplete line is wiped.
  ~KeyLogReader();
  KeyLogReader(const KeyLogReader&) = delete;
  KeyLogReader& operator=(const KeyLogReader&) = delete;

  void Feed(std::string_view bytes);
  uint64_t secrets() const { return secrets_; }
  uint64_t bad() const { return bad_; }  // lines that were thrown away

 private:
  void TakeLine();

  std::function<void(const control::SecretMessage&)> on_secret_;
  std::vector<char> line_;
  bool too_long_ = false;
  uint64_t secrets_ = 0;
  uint64_t bad_ = 0;
};

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_KEY_LOG_H_
