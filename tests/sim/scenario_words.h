// The words of one line of a scenario file, read one after the other as what they should be. What
// cannot be read becomes a Complaint that says what is wrong and what would be right.
#ifndef MPTCPTLS_TESTS_SIM_SCENARIO_WORDS_H_
#define MPTCPTLS_TESTS_SIM_SCENARIO_WORDS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stack/types.h"

namespace mptcptls::sim {

struct Complaint {
  std::string cause, remedy;
};

class Words {
 public:
  // Everything from a '#' on is a remark.
  explicit Words(std::string_view line);

  bool empty() const { return at_ == words_.size(); }
  // `what` names the thing that is wanted, for the complaint when there is none.
  std::string Next(const std::string& what);
  // Takes the next word if it is this one.
  bool Take(std::string_view word);
  void Want(std::string_view word);  // must be this one
  void End() const;                  // nothing may be left

  uint64_t Number(const std::string& what);
  uint64_t NumberFrom(const std::string& what, uint64_t low, uint64_t high);
  Duration Time(const std::string& what);       // 250us, 10ms, 1.5s
  uint64_t Size(const std::string& what);       // 1500, 64k, 2M (powers of ten), 64Ki, 2Mi
  uint64_t Rate(const std::string& what);       // bits per second: 800k, 10M, 1G
  double Probability(const std::string& what);  // 0.01, 1%
  bool YesNo(const std::string& what);
  // One of the names; its value.
  template <typename T>
  T Choice(const std::string& what, std::span<const std::pair<std::string_view, T>> choices) {
    const std::string word = Next(what);
    std::string known;
    for (const auto& [name, value] : choices) {
      if (name == word) return value;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw Complaint{"'" + word + "' is no " + what, "one of: " + known};
  }

 private:
  double Scaled(const std::string& what,
                std::span<const std::pair<std::string_view, double>> units);

  std::vector<std::string> words_;
  size_t at_ = 0;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_SCENARIO_WORDS_H_
