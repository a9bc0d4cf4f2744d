// What decides besides a program's file whether it is captured: the variables, the configuration,
// the engine. For `mptcptls check`.
#ifndef MPTCPTLS_ENGINE_COMMAND_CIRCUMSTANCES_H_
#define MPTCPTLS_ENGINE_COMMAND_CIRCUMSTANCES_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace mptcptls::command {

// What to say, and whether a program would be captured at all.
struct Circumstances {
  std::vector<std::pair<std::string, std::string>> lines;  // a short label, a sentence
  bool capture = true;
};

struct CircumstancesOf {
  std::string process;                 // its name, as /proc/PID/comm has it
  std::vector<std::string> variables;  // "NAME=value"
  std::string engine;                  // the program that would be started where none runs
  uid_t uid = 0;
};
Circumstances Examine(const CircumstancesOf& of);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_CIRCUMSTANCES_H_
