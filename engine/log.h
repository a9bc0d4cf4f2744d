// The engine's log: a bounded file of its own in /run/mptcptls, or stderr in the foreground.
#ifndef MPTCPTLS_ENGINE_LOG_H_
#define MPTCPTLS_ENGINE_LOG_H_

#include <string>

namespace mptcptls {

inline constexpr char kLogFolder[] = "/run/mptcptls";

// /run/mptcptls/engine-NETNS.log: /run is shared by network namespaces, an engine is not.
std::string LogFile();

// Directs spdlog there (0600, at most two files of 1 MiB). False and an error when it cannot be
// written; the log is silent then.
bool LogToFile(const std::string& file, std::string* error);
void LogToStderr(bool debug);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_LOG_H_
