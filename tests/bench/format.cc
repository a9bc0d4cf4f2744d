#include "tests/bench/format.h"

#include <array>
#include <cstdarg>
#include <cstdio>

namespace mptcptls::bench {

std::string Format(const char* format, ...) {
  std::array<char, 1000> text;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text.data(), text.size(), format, arguments);
  va_end(arguments);
  return text.data();
}

}  // namespace mptcptls::bench
