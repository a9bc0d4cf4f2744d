// The same seeds in two processes are the same runs, packet by packet (ARCHITECTURE.md 10): hash
// tables that iterate differently in each process, addresses, or uninitialized bytes must not reach
// the wire.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <memory>
#include <set>
#include <sstream>
#include <string>

namespace {

std::string Output(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string out;
  std::array<char, 4096> buffer;
  while (size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    out.append(buffer.data(), n);
  }
  return out;
}

TEST(Determinism, TwoProcessesMakeTheSameTraces) {
  const std::string command = std::string(SIM_RANDOM) + " --hashes --seeds 1..60";
  const std::string first = Output(command), second = Output(command);
  EXPECT_EQ(first, second);
  // And the hash is of something: as many different ones as seeds.
  std::set<std::string> hashes;
  std::istringstream lines(first);
  std::string seed, hash;
  while (lines >> seed >> hash) hashes.insert(hash);
  EXPECT_EQ(hashes.size(), 60u) << first;
}

}  // namespace
