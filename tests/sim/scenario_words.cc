#include "tests/sim/scenario_words.h"

#include <charconv>
#include <cmath>
#include <sstream>

namespace mptcptls::sim {
namespace {

using Unit = std::pair<std::string_view, double>;

constexpr Unit kTimes[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
constexpr Unit kSizes[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"Ki", 1024}, {"Mi", 1024 * 1024}};
constexpr Unit kRates[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
constexpr double kLargest = 9e15;  // exact in a double, and far beyond anything meant

}  // namespace

Words::Words(std::string_view line) {
  std::istringstream in{std::string(line.substr(0, line.find('#')))};
  for (std::string word; in >> word;) words_.push_back(word);
}

std::string Words::Next(const std::string& what) {
  if (empty()) throw Complaint{"the line ends where " + what + " should be", "add it"};
  return words_[at_++];
}

bool Words::Take(std::string_view word) {
  if (empty() || words_[at_] != word) return false;
  ++at_;
  return true;
}

void Words::Want(std::string_view word) {
  const std::string found = empty() ? "the end of the line" : "'" + words_[at_] + "'";
  if (!Take(word))
    throw Complaint{found + " where a word is fixed", "write '" + std::string(word) + "'"};
}

void Words::End() const {
  if (!empty()) throw Complaint{"'" + words_[at_] + "' is too much", "end the line before it"};
}

uint64_t Words::Number(const std::string& what) {
  const std::string word = Next(what);
  uint64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc{} || stop != end) {
    throw Complaint{"'" + word + "' is no " + what, "write a whole number, from 0 on"};
  }
  return value;
}

uint64_t Words::NumberFrom(const std::string& what, uint64_t low, uint64_t high) {
  const uint64_t value = Number(what);
  if (value >= low && value <= high) return value;
  throw Complaint{std::to_string(value) + " is out of range for " + what,
                  "from " + std::to_string(low) + " to " + std::to_string(high)};
}

double Words::Scaled(const std::string& what, std::span<const Unit> units) {
  const std::string word = Next(what);
  double value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  std::string known;
  for (const auto& [name, factor] : units) {
    known += " " + (name.empty() ? std::string("(none)") : std::string(name));
    if (error != std::errc{} || std::string_view(stop, end) != name) continue;
    if (value >= 0 && value * factor <= kLargest) return value * factor;
  }
  throw Complaint{"'" + word + "' is no " + what, "write a number and its unit, one of:" + known};
}

Duration Words::Time(const std::string& what) {
  return Duration(std::llround(Scaled(what, kTimes)));
}

uint64_t Words::Size(const std::string& what) {
  return static_cast<uint64_t>(std::llround(Scaled(what, kSizes)));
}

uint64_t Words::Rate(const std::string& what) {
  return static_cast<uint64_t>(std::llround(Scaled(what, kRates)));
}

double Words::Probability(const std::string& what) {
  static constexpr Unit kUnits[] = {{"", 1}, {"%", 0.01}};
  const double value = Scaled(what, kUnits);
  if (value <= 1) return value;
  throw Complaint{what + " is above one", "write a probability: 0.01, or 1%"};
}

bool Words::YesNo(const std::string& what) {
  static constexpr std::pair<std::string_view, bool> kChoices[] = {{"yes", true}, {"no", false}};
  return Choice<bool>(what, kChoices);
}

}  // namespace mptcptls::sim
