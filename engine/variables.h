// The MPTCPTLS_* variables: their names, their values, and what is wrong with one. The shim obeys
// them and `mptcptls check` explains them, by the same functions. As control.h: libc alone, no
// allocation, no exception, and every function keeps what it is given.
#ifndef MPTCPTLS_ENGINE_VARIABLES_H_
#define MPTCPTLS_ENGINE_VARIABLES_H_

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/control.h"

namespace mptcptls::variables {

inline constexpr char kPrefix[] = "MPTCPTLS_";
// MPTCPTLS_KEYLOG is what `mptcptls run --keylog` says to the library.
inline constexpr const char* kNames[] = {"AUTH",   "BYPASS", "CAPTURE", "CONFIG",   "ENGINE",
                                         "KEYLOG", "LOG",    "REQUIRE", "SCHEDULER"};
// In the order of control::Auth.
inline constexpr const char* kAuths[] = {"auto", "tls", "keys", "tcp"};
// In the order of control::Scheduler, which begins with 1.
inline constexpr const char* kSchedulers[] = {"lowest-rtt",  "blest",     "ecf",
                                              "round-robin", "redundant", "latency"};
inline constexpr const char* kSwitches[] = {"0", "1"};
inline constexpr const char* kCaptures[] = {"remote", "all"};

// Which of the words `value` is; -1: none.
template <size_t N>
int WordNumber(const char* const (&words)[N], const char* value) {
  for (size_t i = 0; i < N; ++i)
    if (strcmp(words[i], value) == 0) return static_cast<int>(i);
  return -1;
}

// ---- MPTCPTLS_BYPASS: entries separated by commas or spaces

inline constexpr char kBetween[] = ", ";
inline constexpr size_t kMaxEntry = 64;

struct BypassEntry {
  uint8_t family = 0;  // 4 or 6; 0: a port
  uint8_t bits = 0;    // of the network
  uint16_t port = 0;
  uint8_t bytes[16] = {};
};

namespace detail {
// Decimal, to the end of the text; -1 when it is none or above `limit`.
inline int ToNumber(const char* text, int limit) {
  if (*text == 0) return -1;
  int value = 0;
  for (; *text != 0; ++text) {
    if (*text < '0' || *text > '9') return -1;
    value = value * 10 + (*text - '0');
    if (value > limit) return -1;
  }
  return value;
}
}  // namespace detail

// ":53", "192.0.2.1", "10.0.0.0/8", "fd00::/8". False: it is none of these.
inline bool ReadBypassEntry(const char* text, size_t length, BypassEntry* entry) {
  char copy[kMaxEntry];
  if (length == 0 || length >= sizeof copy) return false;
  memcpy(copy, text, length);
  copy[length] = 0;
  if (copy[0] == ':' && copy[1] != ':') {
    const int port = detail::ToNumber(copy + 1, 65535);
    entry->family = 0;
    entry->port = static_cast<uint16_t>(port);
    return port > 0;
  }
  entry->family = strchr(copy, ':') == nullptr ? 4 : 6;
  int bits = entry->family == 4 ? 32 : 128;
  if (char* const slash = strchr(copy, '/')) {
    *slash = 0;
    bits = detail::ToNumber(slash + 1, bits);
  }
  entry->bits = static_cast<uint8_t>(bits);
  return bits >= 0 && inet_pton(entry->family == 4 ? AF_INET : AF_INET6, copy, entry->bytes) == 1;
}

// Takes the next entry off the list. False at its end.
inline bool NextEntry(const char** list, const char** text, size_t* length) {
  *list += strspn(*list, kBetween);
  *text = *list;
  *length = strcspn(*list, kBetween);
  *list += *length;
  return *length > 0;
}

// ---- What is wrong

// A line of text in memory of the caller's; what does not fit is cut off.
class Line {
 public:
  Line(char* text, size_t size) : text_(text), size_(size) { text_[0] = 0; }
  void Add(const char* more, size_t length) {
    for (; length > 0 && *more != 0 && used_ + 1 < size_; --length) text_[used_++] = *more++;
    text_[used_] = 0;
  }
  void Add(const char* more) { Add(more, SIZE_MAX); }
  template <size_t N>
  void AddWords(const char* const (&words)[N], const char* before = "") {
    for (size_t i = 0; i < N; ++i) {
      Add(i == 0 ? "" : ", ");
      Add(before);
      Add(words[i]);
    }
  }
  bool empty() const { return used_ == 0; }

 private:
  char* text_;
  size_t size_;
  size_t used_ = 0;
};

namespace detail {
inline constexpr size_t kMostShown = 64;  // of a value

template <size_t N>
void ExplainWord(const char* variable, const char* value, const char* const (&words)[N],
                 Line* why) {
  if (WordNumber(words, value) >= 0) return;
  why->Add(variable, static_cast<size_t>(value - variable));
  why->Add(value, kMostShown);
  why->Add(" is ignored: one of ");
  why->AddWords(words);
  why->Add(" is meant");
}

inline void ExplainBypass(const char* list, Line* why) {
  const char* text;
  size_t length;
  bool any = false;
  for (BypassEntry entry; NextEntry(&list, &text, &length);) {
    if (ReadBypassEntry(text, length, &entry)) continue;
    why->Add(any ? ", " : "MPTCPTLS_BYPASS: ");
    why->Add(text, length < kMostShown ? length : kMostShown);
    any = true;
  }
  if (any) why->Add(" is ignored: addresses, networks (10.0.0.0/8) and ports (:53) are meant");
}
}  // namespace detail

// What is wrong with "NAME=value", in one line; empty: nothing is. What MPTCPTLS_LOG, _ENGINE and
// _CONFIG name is for those to tell who use it.
inline void Explain(const char* variable, Line* why) {
  constexpr size_t kPrefixLength = sizeof kPrefix - 1;
  const char* const equals = strchr(variable, '=');
  if (strncmp(variable, kPrefix, kPrefixLength) != 0 || equals == nullptr) return;
  const auto length = static_cast<size_t>(equals - variable) - kPrefixLength;
  const auto is = [&](const char* name) {
    return strlen(name) == length && strncmp(variable + kPrefixLength, name, length) == 0;
  };
  const char* const value = equals + 1;
  if (is("AUTH")) return detail::ExplainWord(variable, value, kAuths, why);
  if (is("SCHEDULER")) return detail::ExplainWord(variable, value, kSchedulers, why);
  if (is("CAPTURE")) return detail::ExplainWord(variable, value, kCaptures, why);
  if (is("REQUIRE")) return detail::ExplainWord(variable, value, kSwitches, why);
  if (is("BYPASS")) return detail::ExplainBypass(value, why);
  for (const char* name : kNames)
    if (is(name)) return;
  const size_t shown = kPrefixLength + length;
  why->Add(variable, shown < detail::kMostShown ? shown : detail::kMostShown);
  why->Add(" is ignored: there is no such variable; there are ");
  why->AddWords(kNames, kPrefix);
}

}  // namespace mptcptls::variables

#endif  // MPTCPTLS_ENGINE_VARIABLES_H_
