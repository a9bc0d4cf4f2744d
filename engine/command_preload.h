// Will the dynamic loader load our library into a program? It fails open (a warning at best, and
// the program runs without), so `mptcptls run` asks before it starts anything.
#ifndef MPTCPTLS_ENGINE_COMMAND_PRELOAD_H_
#define MPTCPTLS_ENGINE_COMMAND_PRELOAD_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mptcptls::command {

// LD_PRELOAD's value with `library` at its end, if it is not in it. `before` may be nullptr.
std::string AppendPreload(const char* before, const std::string& library);

// Whether a loader's --list output has `library` among what it loaded.
bool ListingHas(absl::string_view listing, absl::string_view library);

// What the loader of `file` (an ELF file) loads into it, as its --list tells; empty when the file
// is statically linked.
absl::StatusOr<std::string> LoaderListing(const std::string& file, const std::string& preload);

// `file`: the ELF file that runs in the end (command_program.h). `preload`: LD_PRELOAD as it will
// be.
absl::Status VerifyPreload(const std::string& file, const std::string& library,
                           const std::string& preload);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_PRELOAD_H_
