#include "engine/key_log.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace mptcptls::command {
namespace {

constexpr std::string_view kBlanks = " \t\r";

// Takes the next word from the front of `line`.
std::string_view TakeWord(std::string_view* line) {
  line->remove_prefix(std::min(line->find_first_not_of(kBlanks), line->size()));
  const std::string_view word = line->substr(0, line->find_first_of(kBlanks));
  line->remove_prefix(word.size());
  return word;
}

int ValueOf(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool IsHex(std::string_view word) {
  return !word.empty() &&
         std::all_of(word.begin(), word.end(), [](char c) { return ValueOf(c) >= 0; });
}

// False when it is not hexadecimal, or does not fit.
bool FromHex(std::string_view word, std::span<uint8_t> out) {
  if (word.size() % 2 != 0 || word.size() / 2 > out.size()) return false;
  for (size_t i = 0; i < word.size(); i += 2) {
    const int high = ValueOf(word[i]), low = ValueOf(word[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

KeyLogLine ParseKeyLogLine(std::string_view line, control::SecretMessage* message) {
  const std::string_view label = TakeWord(&line);
  if (label.empty() || label[0] == '#') return KeyLogLine::kOther;
  const bool is_label = std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  const std::string_view random = TakeWord(&line);
  const std::string_view secret = TakeWord(&line);
  if (!is_label || !IsHex(random) || !IsHex(secret) || !TakeWord(&line).empty())
    return KeyLogLine::kBad;
  const bool exporter = label == "EXPORTER_SECRET";
  if (!exporter && label != "CLIENT_RANDOM") return KeyLogLine::kOther;
  *message = control::Make<control::SecretMessage>(control::Verb::kSecret);
  message->kind = exporter ? control::SecretKind::kExporter : control::SecretKind::kMaster;
  message->size = static_cast<uint8_t>(std::min<size_t>(secret.size() / 2, UINT8_MAX));
  const bool good = random.size() == 2 * sizeof message->client_random &&
                    FromHex(random, message->client_random) && FromHex(secret, message->secret) &&
                    (message->size == 48 || (exporter && message->size == 32));
  if (good) return KeyLogLine::kSecret;
  explicit_bzero(message, sizeof *message);
  return KeyLogLine::kBad;
}

KeyLogReader::KeyLogReader(std::function<void(const control::SecretMessage&)> on_secret)
    : on_secret_(std::move(on_secret)) {
  line_.reserve(kMaxLine);
}

KeyLogReader::~KeyLogReader() { explicit_bzero(line_.data(), line_.size()); }

void KeyLogReader::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kMaxLine)
      too_long_ = true;
    else
      line_.insert(line_.end(), piece.begin(), piece.end());
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    TakeLine();
  }
}

void KeyLogReader::TakeLine() {
  control::SecretMessage message;
  const KeyLogLine kind = std::exchange(too_long_, false)
                              ? KeyLogLine::kBad
                              : ParseKeyLogLine({line_.data(), line_.size()}, &message);
  explicit_bzero(line_.data(), line_.size());
  line_.clear();
  if (kind == KeyLogLine::kBad) ++bad_;
  if (kind != KeyLogLine::kSecret) return;
  ++secrets_;
  on_secret_(message);
  explicit_bzero(&message, sizeof message);
}

}  // namespace mptcptls::command
