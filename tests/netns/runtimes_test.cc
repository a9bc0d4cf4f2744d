// The library in programs of every kind: it brings nothing along that they could see, and takes
// nothing from them.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr char kJemalloc[] = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";

class Runtimes : public testing::Test {
 protected:
  // What a program that ends well says.
  std::string OutputOf(const std::vector<std::string>& argv,
                       const std::vector<std::string>& env = {}) const {
    const auto program = lab_.client().Start({.argv = argv, .env = env});
    EXPECT_EQ(program->Wait(), 0) << argv[0] << ": " << program->err();
    return program->out();
  }

  Lab lab_{LabOptions{}};
};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// ---- What the library is

std::set<std::string> HooksInTheSources() {
  std::set<std::string> hooks;
  // Some of the TLS libraries' are written as a macro, whose name is in capitals.
  const std::regex hook("MPTCPTLS_HOOK [^(]*?(\\w*[a-z]\\w*)\\(");
  for (const auto& entry : std::filesystem::directory_iterator(SOURCE_DIRECTORY "/shim")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = ReadFile(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), hook), end; it != end; ++it)
      hooks.insert((*it)[1]);
  }
  return hooks;
}

TEST_F(Runtimes, TheLibraryExportsItsHooksAndNothingElse) {
  std::set<std::string> exported;
  for (const std::string& line :
       LinesOf(OutputOf({"nm", "-D", "--defined-only", Product::Library()}))) {
    std::istringstream words(line);
    std::string address, type, name;
    words >> address >> type >> name;
    EXPECT_EQ(type, "T") << line;
    exported.insert(name);
  }
  EXPECT_THAT(exported, IsSupersetOf(HooksInTheSources()));
  EXPECT_GT(HooksInTheSources().size(), 30u);
  // And each hook is in front of something.
  std::vector<void*> libraries;
  for (const char* name : {"libc.so.6", "libssl.so.3", "libgnutls.so.30"})
    libraries.push_back(dlopen(name, RTLD_NOW | RTLD_LOCAL));
  EXPECT_THAT(libraries, Not(testing::Contains(nullptr)));
  for (const std::string& name : exported) {
    EXPECT_TRUE(std::ranges::any_of(libraries, [&](void* library) {
      return dlsym(library, name.c_str()) != nullptr;
    })) << name;
  }
}

TEST_F(Runtimes, TheLibraryNeedsTheCLibraryAlone) {
  std::vector<std::string> needed;
  for (const std::string& line : LinesOf(OutputOf({"objdump", "-p", Product::Library()}))) {
    std::istringstream words(line);
    std::string key, value;
    words >> key >> value;
    if (key == "NEEDED") needed.push_back(value);
  }
  EXPECT_THAT(needed, ElementsAre("libc.so.6"));
  for (const std::string& line :
       LinesOf(OutputOf({"nm", "-D", "--undefined-only", Product::Library()}))) {
    if (line.find(" w ") == std::string::npos) {
      EXPECT_THAT(line, HasSubstr("@GLIBC_"));
    }
  }
}

// ---- What programs bring along

TEST_F(Runtimes, ProgramsWithTheirOwnFetchThroughTheEngine) {
  Nginx nginx(lab_, lab_.server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", 2 * kMiB);
  nginx.Start(Product::Environment());
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const struct {
    const char* program;
    std::string before;  // preloaded, too
  } kRows[] = {{"runtime_probe", ""},        {"runtime_probe_static", ""},
               {"runtime_probe_abseil", ""}, {"runtime_probe_names", ""},
               {"runtime_probe", kJemalloc}, {"runtime_probe_static", kJemalloc}};
  size_t connections = 0;
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.program + (" " + row.before));
    const std::string copy = lab_.folder() + "/copy";
    std::filesystem::remove(copy);
    OutputOf(
        {folder / row.program, lab_.Address(lab_.server(), 1, Family::kV4), "80", "/file", copy},
        Product::Environment(row.before));
    EXPECT_EQ(FileSha256(copy), sum);
    const auto known = ConnectionsOf(lab_.client());
    EXPECT_EQ(known.size(), ++connections);
    EXPECT_EQ(known.back().mode, "keys");
  }
}

TEST_F(Runtimes, AProgramWithoutTcpPaysNothing) {
  const std::vector<std::string> look = {"/bin/sh", "-c",
                                         "ls -l /proc/self/fd | wc -l; ls /proc/self/task | wc -l"};
  const std::string plain = OutputOf(look);
  EXPECT_EQ(OutputOf(look, Product::Environment()), plain);
  // A socket that is no TCP's, and one that goes no further than this host.
  const std::string script =
      "import os, socket\n"
      "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('10.9.1.2', 53))\n"
      "a, b = socket.socketpair()\n"
      "l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n"
      "c = socket.socket(); c.connect(l.getsockname())\n"
      "print(len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))\n";
  const std::string sockets = OutputOf({"python3", "-c", script});
  EXPECT_EQ(OutputOf({"python3", "-c", script}, Product::Environment()), sockets);
  EXPECT_EQ(Product::EnginePid(lab_.client()), 0);
}

// ---- What they start

class Starts : public Runtimes {
 protected:
  // The environment of what a preloaded program starts.
  std::string After(const std::vector<std::string>& argv) const {
    std::vector<std::string> env = Product::Environment();
    env.emplace_back("MPTCPTLS_BYPASS=:53,:22");
    return OutputOf(argv, env);
  }
  static std::string Preload() { return "LD_PRELOAD=" + Product::Library() + "\n"; }
};

TEST_F(Starts, AClearedEnvironmentKeepsUs) {
  const std::string python = "import os; os.environ.clear(); ";
  for (const auto& argv : std::vector<std::vector<std::string>>{
           {"env", "-i", "/usr/bin/env"},
           {"python3", "-c", python + "os.system('/usr/bin/env')"},
           {"python3", "-c", python + "os.execve('/usr/bin/env', ['env'], {})"},
           {"python3", "-c", "import os, subprocess; subprocess.run('/usr/bin/env', env={})"},
           {"python3", "-c",
            "import os; p = os.posix_spawn('/usr/bin/env', ['env'], {}); os.waitpid(p, 0)"}}) {
    SCOPED_TRACE(argv.back());
    const std::string text = After(argv);
    EXPECT_THAT(text, HasSubstr(Preload()));
    EXPECT_THAT(text, HasSubstr("MPTCPTLS_REQUIRE=1\n"));
    EXPECT_THAT(text, HasSubstr("MPTCPTLS_BYPASS=:53,:22\n"));
  }
}

TEST_F(Starts, AnotherPreloadGetsUsBehindIt) {
  const std::string other = std::string("LD_PRELOAD=") + kJemalloc;
  EXPECT_THAT(After({"env", other, "/usr/bin/env"}),
              HasSubstr(other + ":" + Product::Library() + "\n"));
  // Also where the shell is started by libc.
  EXPECT_THAT(After({"python3", "-c",
                     "import os; os.environ['LD_PRELOAD'] = '" + std::string(kJemalloc) +
                         "'; os.system('/usr/bin/env')"}),
              HasSubstr(other + ":" + Product::Library() + "\n"));
}

TEST_F(Starts, AnEmptyPreloadTurnsUsOff) {
  const std::string text = After({"env", "LD_PRELOAD=", "/usr/bin/env"});
  EXPECT_THAT(text, HasSubstr("LD_PRELOAD=\n"));
  EXPECT_THAT(text, Not(HasSubstr(Product::Library())));
}

}  // namespace
}  // namespace mptcptls::lab
