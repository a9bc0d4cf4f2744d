// `mptcptls dump`: the engine writes every packet it receives and sends to a file, in pcapng.
#ifndef MPTCPTLS_ENGINE_COMMAND_DUMP_H_
#define MPTCPTLS_ENGINE_COMMAND_DUMP_H_

#include <absl/status/statusor.h>

#include <string>

#include "engine/command_descriptor.h"

namespace mptcptls::command {

struct DumpOptions {
  std::string file;
  double seconds = 0;  // 0: until a signal
};

// An empty file of ours to write to; an existing one is emptied. Pipes and the like are refused:
// nobody reads the engine's file but by its name, and a full pipe would hold the engine up.
// `created` tells whether it is new.
absl::StatusOr<Descriptor> OpenDumpFile(const std::string& path, bool* created);

// Returns the exit code, when a signal came, the time is over, or the engine ended.
int Dump(const DumpOptions& options);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_DUMP_H_
