// What the commands print for people.
#ifndef MPTCPTLS_ENGINE_COMMAND_OUTPUT_H_
#define MPTCPTLS_ENGINE_COMMAND_OUTPUT_H_

#include <cstddef>
#include <string>

namespace mptcptls::command {

// Of standard output; 0 where it is no terminal.
size_t TerminalColumns();
// To standard output, ended by a newline. Returns the exit code.
int Print(const std::string& text);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_OUTPUT_H_
