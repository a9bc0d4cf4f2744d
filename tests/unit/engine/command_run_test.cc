// Which programs a preload reaches, with the files that are there and some that the test makes.
#include "engine/command_run.h"

#include <dlfcn.h>
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/command_elf.h"
#include "engine/command_error.h"
#include "engine/command_preload.h"
#include "engine/command_program.h"

namespace mptcptls::command {
namespace {

using testing::HasSubstr;

constexpr char kCurl[] = "/usr/bin/curl";

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// Some library that any program can load.
std::string SomeLibrary() {
  Dl_info info = {};
  EXPECT_NE(dladdr(reinterpret_cast<void*>(&std::terminate), &info), 0);
  return info.dli_fname;
}

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CommandRun : public testing::Test {
 protected:
  CommandRun() { EXPECT_NE(mkdtemp(folder_), nullptr); }
  ~CommandRun() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string Path(const std::string& name) const { return std::string(folder_) + "/" + name; }
  std::string Make(const std::string& name, const std::string& content, mode_t mode = 0755) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    chmod(Path(name).c_str(), mode);
    return Path(name);
  }
  absl::Status Verify(const std::string& file) const {
    return VerifyPreload(file, SomeLibrary(), SomeLibrary());
  }

 private:
  char folder_[32] = "/tmp/mptcptls-test-XXXXXX";
};

// curl without its PT_INTERP: as static as the loader can tell.
std::string StaticCurl() {
  std::string bytes = ContentOf(kCurl);
  Elf64_Ehdr head;
  memcpy(&head, bytes.data(), sizeof head);
  for (size_t i = 0; i < head.e_phnum; ++i) {
    Elf64_Phdr segment;
    char* const place = bytes.data() + head.e_phoff + i * sizeof segment;
    memcpy(&segment, place, sizeof segment);
    if (segment.p_type == PT_INTERP) segment.p_type = PT_NULL;
    memcpy(place, &segment, sizeof segment);
  }
  return bytes;
}

std::string With16(std::string bytes, size_t offset, uint16_t value) {
  memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

TEST_F(CommandRun, TheProgramBeginsAfterTheMarkOrTheFirstWordThatIsNoOption) {
  const struct {
    std::vector<std::string> words;
    size_t start;
  } cases[] = {{{}, 0},
               {{"--"}, 1},
               {{"curl", "-O"}, 0},
               {{"--require", "curl", "--", "x"}, 1},
               {{"--auth", "tls", "curl"}, 2},
               {{"--auth=tls", "curl"}, 1},
               {{"--scheduler", "ecf", "curl"}, 2},
               {{"--log", "--", "--", "-odd"}, 3},
               {{"--library", "l", "--", "--auth", "x"}, 3},
               {{"--log"}, 1}};
  for (const auto& c : cases) EXPECT_EQ(ProgramStart(c.words), c.start);
}

TEST_F(CommandRun, ThePreloadIsAppendedOnce) {
  EXPECT_EQ(AppendPreload(nullptr, "/l.so"), "/l.so");
  EXPECT_EQ(AppendPreload("", "/l.so"), "/l.so");
  EXPECT_EQ(AppendPreload("/a.so", "/l.so"), "/a.so:/l.so");
  EXPECT_EQ(AppendPreload("/a.so /l.so:/b.so", "/l.so"), "/a.so /l.so:/b.so");
  EXPECT_EQ(AppendPreload("/l.so.1", "/l.so"), "/l.so.1:/l.so");
}

TEST_F(CommandRun, AListingHasTheLibraryOnlyWhereItWasLoaded) {
  EXPECT_TRUE(ListingHas("\tlinux-vdso.so.1 (0x1)\n\t/p/l.so (0x00007)\n", "/p/l.so"));
  EXPECT_TRUE(ListingHas("\tl.so => /p/l.so (0x00007)\n", "/p/l.so"));
  EXPECT_FALSE(
      ListingHas("ERROR: ld.so: object '/p/l.so' from LD_PRELOAD ...: ignored.\n", "/p/l.so"));
  EXPECT_FALSE(ListingHas("\t/q/p/l.so (0x1)\n\t/p/l.so.2 (0x1)\n", "/p/l.so"));
  EXPECT_FALSE(ListingHas("", "/p/l.so"));
}

TEST_F(CommandRun, CurlIsReached) {
  const auto elf = ReadElf(kCurl);
  ASSERT_TRUE(elf.ok()) << elf.status();
  EXPECT_THAT(elf->interpreter, HasSubstr("/ld-"));
  EXPECT_TRUE(Verify(kCurl).ok()) << Verify(kCurl);
}

TEST_F(CommandRun, AStaticProgramIsNotReached) {
  EXPECT_THAT(Message(Verify(Make("static", StaticCurl()))), HasSubstr("statically linked"));
}

TEST_F(CommandRun, AnotherMachineIsNamed) {
  const std::string other = With16(ContentOf(kCurl), offsetof(Elf64_Ehdr, e_machine), EM_RISCV);
  EXPECT_THAT(Message(Verify(Make("other", other))), HasSubstr("built for 64-bit riscv"));
}

TEST_F(CommandRun, AnotherClassIsNamed) {
  Elf32_Ehdr head = {};
  memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS32;
  head.e_ident[EI_DATA] = ELFDATA2LSB;
  head.e_machine = EM_386;
  const std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  EXPECT_THAT(Message(Verify(Make("small", bytes))), HasSubstr("built for 32-bit x86,"));
}

TEST_F(CommandRun, DamagedFilesAreErrors) {
  const std::string whole = ContentOf(kCurl);
  const std::string far = With16(whole, offsetof(Elf64_Ehdr, e_phoff) + 6, 0xFFFF);
  const std::string odd = With16(whole, offsetof(Elf64_Ehdr, e_phentsize), 1);
  for (const std::string& bytes : {whole.substr(0, 20), whole.substr(0, 70), far, odd})
    EXPECT_THAT(Message(Verify(Make("damaged", bytes))), HasSubstr("damaged"));
  EXPECT_THAT(Message(Verify(Make("text", "hello"))), HasSubstr("no ELF file"));
}

TEST_F(CommandRun, ALibraryThatDoesNotLoadIsExplainedInTheLoadersWords) {
  const absl::Status status = VerifyPreload("/usr/bin/env", kCurl, kCurl);
  EXPECT_THAT(Message(status), HasSubstr("does not load the library"));
  EXPECT_THAT(Message(status), HasSubstr("cannot be preloaded"));
}

TEST_F(CommandRun, ALibraryThatIsMissingOrHasAnImpossiblePathIsNamed) {
  EXPECT_THAT(Message(VerifyPreload(kCurl, "/nonexistent.so", "/nonexistent.so")),
              HasSubstr("--library"));
  EXPECT_THAT(Message(VerifyPreload(kCurl, "/a b.so", "/a b.so")), HasSubstr("space or a colon"));
}

TEST_F(CommandRun, AMissingLoaderIsNamed) {
  std::string bytes = ContentOf(kCurl);
  const std::string loader = ReadElf(kCurl)->interpreter;
  bytes[bytes.find(loader) + 1] = 'X';
  EXPECT_THAT(Message(Verify(Make("strange", bytes))), HasSubstr("needs the dynamic loader /X"));
}

TEST_F(CommandRun, ASetUserIdProgramOfAnotherUserIsNotReached) {
  struct statvfs mount;
  const std::string path = Make("raised", ContentOf(kCurl));
  ASSERT_EQ(statvfs(path.c_str(), &mount), 0);
  if (geteuid() != 0 || (mount.f_flag & ST_NOSUID) != 0) FAIL() << "needs root, no nosuid";
  ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
  ASSERT_EQ(chmod(path.c_str(), 04755), 0);
  EXPECT_THAT(Message(Verify(path)), HasSubstr("set-user-id"));
  // To the user that one already is, nothing changes.
  ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
  ASSERT_EQ(chmod(path.c_str(), 04755), 0);
  EXPECT_TRUE(Verify(path).ok()) << Verify(path);
}

TEST_F(CommandRun, ProgramsAreFoundAsTheShellFindsThem) {
  const std::string plain = Make("plain", "x", 0644);
  const std::string tool = Make("tool", "#!/bin/sh\n");
  const std::string search = "/nonexistent:" + Path("");
  EXPECT_EQ(*FindProgram("tool", search.c_str()), Path("") + "/tool");
  EXPECT_EQ(*FindProgram(tool, nullptr), tool);
  EXPECT_EQ(*FindProgram("sh", nullptr), "/bin/sh");
  EXPECT_TRUE(absl::IsPermissionDenied(FindProgram("plain", search.c_str()).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(FindProgram("/tmp", nullptr).status()));
  EXPECT_TRUE(absl::IsNotFound(FindProgram("tool", "/nonexistent").status()));
  EXPECT_TRUE(absl::IsNotFound(FindProgram(tool + "/x/y", nullptr).status()));
  EXPECT_TRUE(absl::IsNotFound(FindProgram("", search.c_str()).status()));
}

TEST_F(CommandRun, ScriptsAreFollowedToWhatRunsThem) {
  const std::string usual = "/usr/bin:/bin";
  const std::string first = Make("first", "#! /bin/sh -e\n");
  const struct {
    std::string content, file;
  } cases[] = {{"#!/bin/sh\necho", "/bin/sh"},
               {"#!" + first + "\n", "/bin/sh"},
               {"#!/usr/bin/env curl\n", kCurl},
               {"#!/usr/bin/env -S A=b curl -x\n", kCurl},
               {"#!/usr/bin/env -i curl\n", "/usr/bin/env"},
               {"echo no first line", "/bin/sh"},
               {"", "/bin/sh"},
               {ContentOf(kCurl), Path("script")}};
  for (const auto& c : cases) {
    const auto file = FollowScripts(Make("script", c.content), usual.c_str());
    ASSERT_TRUE(file.ok()) << c.content << file.status();
    EXPECT_EQ(*file, c.file) << c.content;
  }
}

TEST_F(CommandRun, AScriptWhoseInterpreterIsMissingOrItselfIsAnError) {
  for (const char* const line : {"#!/nonexistent/sh\n", "#!\n", "#!", "#!  \n", "#!/tmp\n"})
    EXPECT_FALSE(FollowScripts(Make("script", line), nullptr).ok()) << line;
  const std::string a = Make("a", "#!" + Path("b") + "\n");
  Make("b", "#!" + a + "\n");
  EXPECT_THAT(Message(FollowScripts(a, nullptr).status()), HasSubstr("script for a script"));
}

TEST_F(CommandRun, WhatCannotBeStartedHasTheShellsExitCodes) {
  RunOptions options;
  options.library = SomeLibrary();
  options.program = {"mptcptls-no-such-program"};
  EXPECT_EQ(command::Run(options), kNoSuchProgram);
  options.program = {Make("plain", "x", 0644)};
  EXPECT_EQ(command::Run(options), kCannotExecute);
  options.program = {Make("static", StaticCurl())};
  EXPECT_EQ(command::Run(options), kFailure);
}

TEST_F(CommandRun, TheProgramsEndIsItsOwnAndItSeesWhatWasAsked) {
  RunOptions options;
  options.library = SomeLibrary();
  options.auth = "tls";
  options.scheduler = "ecf";
  options.require = true;
  options.log = "relative.log";
  options.program = {
      "sh", "-c",
      "case $LD_PRELOAD in *:\"$0\"|\"$0\") ;; *) exit 1;; esac; "
      "case $MPTCPTLS_LOG in /*/relative.log) ;; *) exit 2;; esac; "
      "[ $MPTCPTLS_AUTH$MPTCPTLS_SCHEDULER$MPTCPTLS_REQUIRE = tlsecf1 ] || exit 3; exit 42",
      options.library};
  EXPECT_EXIT(exit(command::Run(options)), testing::ExitedWithCode(42), "");
  options.program = {"sh", "-c", "kill -USR1 $$"};
  EXPECT_EXIT(exit(command::Run(options)), testing::KilledBySignal(SIGUSR1), "");
}

}  // namespace
}  // namespace mptcptls::command
