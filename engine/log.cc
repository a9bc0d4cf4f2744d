#include "engine/log.h"

#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace mptcptls {
namespace {

constexpr size_t kMaxSize = 1u << 20;

void Use(spdlog::sink_ptr sink) {
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("engine", std::move(sink)));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  spdlog::flush_on(spdlog::level::info);
}

}  // namespace

std::string LogFile() {
  std::array<char, 64> link{};
  std::string inode = "unknown";
  const ssize_t length = readlink("/proc/self/ns/net", link.data(), link.size() - 1);
  if (length > 0) {
    inode.clear();
    for (const char c : std::string(link.data(), static_cast<size_t>(length))) {
      if (c >= '0' && c <= '9') inode += c;
    }
  }
  return std::string(kLogFolder) + "/engine-" + inode + ".log";
}

bool LogToFile(const std::string& file, std::string* error) {
  umask(077);
  if (mkdir(kLogFolder, 0755) != 0 && errno != EEXIST) {
    *error = std::string("cannot make ") + kLogFolder + ": " + std::strerror(errno);
    Use(std::make_shared<spdlog::sinks::null_sink_st>());
    return false;
  }
  try {
    Use(std::make_shared<spdlog::sinks::rotating_file_sink_st>(file, kMaxSize, 1));
    return true;
  } catch (const spdlog::spdlog_ex& failure) {
    *error = failure.what();
    Use(std::make_shared<spdlog::sinks::null_sink_st>());
    return false;
  }
}

void LogToStderr(bool debug) {
  Use(std::make_shared<spdlog::sinks::stderr_color_sink_st>());
  if (debug) spdlog::set_level(spdlog::level::debug);
}

}  // namespace mptcptls
