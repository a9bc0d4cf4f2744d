#include "tests/netns/oracle.h"

#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include "tests/netns/programs.h"

namespace mptcptls::lab {

KeyOracle::KeyOracle(std::string file) : file_(std::move(file)) {
  WriteFile(file_, "");
  chmod(file_.c_str(), 0666);
}

std::string KeyOracle::Library() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  return program.parent_path().parent_path() / "lib/libkeyoracle.so";
}

std::vector<OracleLine> KeyOracle::Lines() const {
  std::vector<OracleLine> lines;
  std::istringstream text(ReadFile(file_));
  for (OracleLine line; text >> line.client_random >> line.key >> line.protocol >> line.role;) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace mptcptls::lab
