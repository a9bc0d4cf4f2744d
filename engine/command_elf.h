// What the head of an ELF file says about the loader: enough to tell whether a preload can reach
// it.
#ifndef MPTCPTLS_ENGINE_COMMAND_ELF_H_
#define MPTCPTLS_ENGINE_COMMAND_ELF_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace mptcptls::command {

struct Elf {
  uint8_t elf_class = 0;    // ELFCLASS32 or ELFCLASS64
  uint8_t data = 0;         // byte order
  uint16_t machine = 0;     // EM_*
  std::string interpreter;  // PT_INTERP: the dynamic loader; empty when statically linked

  bool SamePlatform(const Elf& other) const {
    return elf_class == other.elf_class && data == other.data && machine == other.machine;
  }
};

// "64-bit x86-64"; a machine that has no name here is shown by its number.
std::string PlatformName(const Elf& elf);

// kInvalidArgument when it is no (whole) ELF file; an errno's status when it cannot be read.
// Segments of a file of the other byte order are not looked at: it does not run here.
absl::StatusOr<Elf> ReadElf(const std::string& path);

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_ELF_H_
