#include "engine/command_elf.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <bit>

#include "engine/command_descriptor.h"

namespace mptcptls::command {
namespace {

constexpr size_t kMaxInterpreter = 4096;  // PATH_MAX, as in the kernel

bool ReadAt(int fd, uint64_t offset, void* out, size_t size) {
  return offset <= INT64_MAX &&
         pread(fd, out, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

absl::Status Damaged(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is a damaged ELF file: get it again from where it came"));
}

template <typename Head, typename Segment>
absl::StatusOr<std::string> ReadInterpreter(int fd, const std::string& path) {
  Head head;
  if (!ReadAt(fd, 0, &head, sizeof head)) return Damaged(path);
  if (head.e_phnum != 0 && head.e_phentsize != sizeof(Segment)) return Damaged(path);
  for (unsigned i = 0; i < head.e_phnum; ++i) {
    Segment segment;
    if (!ReadAt(fd, head.e_phoff + uint64_t{i} * sizeof segment, &segment, sizeof segment))
      return Damaged(path);
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz < 2 || segment.p_filesz > kMaxInterpreter) return Damaged(path);
    std::string name(segment.p_filesz, '\0');
    if (!ReadAt(fd, segment.p_offset, name.data(), name.size())) return Damaged(path);
    if (name.back() != '\0') return Damaged(path);
    return std::string(name.c_str());
  }
  return std::string();
}

}  // namespace

std::string PlatformName(const Elf& elf) {
  static constexpr struct {
    uint16_t machine;
    const char* name;
  } kNames[] = {{EM_X86_64, "x86-64"}, {EM_386, "x86"},     {EM_AARCH64, "arm64"},
                {EM_ARM, "arm"},       {EM_RISCV, "riscv"}, {EM_PPC64, "ppc64"},
                {EM_S390, "s390"},     {EM_MIPS, "mips"}};
  std::string machine = absl::StrCat("machine ", elf.machine);
  for (const auto& entry : kNames)
    if (entry.machine == elf.machine) machine = entry.name;
  return absl::StrCat(elf.elf_class == ELFCLASS64 ? "64-bit " : "32-bit ", machine);
}

absl::StatusOr<Elf> ReadElf(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  std::array<unsigned char, EI_NIDENT> ident;
  if (!ReadAt(file.get(), 0, ident.data(), ident.size()) ||
      memcmp(ident.data(), ELFMAG, SELFMAG) != 0)
    return absl::InvalidArgumentError(absl::StrCat(path, " is no ELF file"));
  Elf elf;
  elf.elf_class = ident[EI_CLASS];
  elf.data = ident[EI_DATA];
  // At the same place in both classes.
  if ((elf.elf_class != ELFCLASS32 && elf.elf_class != ELFCLASS64) ||
      !ReadAt(file.get(), offsetof(Elf64_Ehdr, e_machine), &elf.machine, sizeof elf.machine))
    return Damaged(path);
  constexpr uint8_t kOurs = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (elf.data != kOurs) {
    elf.machine = __builtin_bswap16(elf.machine);
    return elf;
  }
  auto interpreter = elf.elf_class == ELFCLASS64
                         ? ReadInterpreter<Elf64_Ehdr, Elf64_Phdr>(file.get(), path)
                         : ReadInterpreter<Elf32_Ehdr, Elf32_Phdr>(file.get(), path);
  if (!interpreter.ok()) return interpreter.status();
  elf.interpreter = *std::move(interpreter);
  return elf;
}

}  // namespace mptcptls::command
