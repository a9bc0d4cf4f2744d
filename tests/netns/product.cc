#include "tests/netns/product.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

using nlohmann::json;

// build/X or the prefix of an installation: programs are in bin, libraries in lib.
std::filesystem::path Root() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

SubflowStatus ToSubflow(const json& value) {
  return {.local = value.at("local"),
          .remote = value.at("remote"),
          .uplink = value.at("uplink"),
          .state = value.at("state"),
          .joined_by = value.at("joined_by"),
          .authenticated_by = value.at("authenticated_by"),
          .bytes_sent = value.at("bytes_sent"),
          .bytes_received = value.at("bytes_received"),
          .retransmitted_bytes = value.at("retransmitted_bytes"),
          .srtt_us = value.at("srtt_us")};
}

ConnectionStatus ToConnection(const json& value, bool closed) {
  ConnectionStatus connection{.role = value.at("role"),
                              .mode = value.at("mode"),
                              .key = value.at("key"),
                              .local = value.at("local"),
                              .remote = value.at("remote"),
                              .state = value.at("state"),
                              .closed = closed,
                              .subflows = {},
                              .unused_paths = {}};
  for (const json& subflow : value.at("subflows")) {
    connection.subflows.push_back(ToSubflow(subflow));
  }
  for (const json& path : value.at("unused_paths")) {
    connection.unused_paths.push_back(path.at("local").get<std::string>() + " to " +
                                      path.at("remote").get<std::string>() + ": " +
                                      path.at("reason").get<std::string>());
  }
  return connection;
}

}  // namespace

std::string Product::Library() { return Root() / "lib/libmptcptls.so"; }
std::string Product::Command() { return Root() / "bin/mptcptls"; }
std::string Product::Engine() { return Root() / "bin/mptcptlsd"; }

std::vector<std::string> Product::Environment(const std::string& before) {
  return {"LD_PRELOAD=" + (before.empty() ? "" : before + ":") + Library(), "MPTCPTLS_REQUIRE=1"};
}

pid_t Product::EnginePid(const Host& host) {
  const std::filesystem::path engine = Engine();
  for (const pid_t pid : host.Processes()) {
    std::error_code gone;
    if (std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", gone) == engine) {
      return pid;
    }
  }
  return 0;
}

std::optional<EngineStatus> Product::Status(const Host& host) {
  if (EnginePid(host) == 0) return std::nullopt;
  const auto command = host.Start({.argv = {Command(), "status", "--json"}});
  if (command->Wait() != 0) {
    throw std::runtime_error("mptcptls status --json: " + command->err() + command->out());
  }
  EngineStatus status;
  status.json = command->out();
  const json value = json::parse(status.json);
  status.pid = value.at("engine").at("pid");
  status.installed = value.at("engine").at("installed").get<std::vector<std::string>>();
  for (const json& connection : value.at("connections")) {
    status.connections.push_back(ToConnection(connection, false));
  }
  for (const json& connection : value.at("closed")) {
    status.connections.push_back(ToConnection(connection, true));
  }
  return status;
}

void Product::Down(const Host& host) {
  const pid_t engine = EnginePid(host);
  const auto command = host.Start({.argv = {Command(), "down"}});
  if (command->Wait() != 0) throw std::runtime_error("mptcptls down: " + command->err());
  if (engine != 0 && !AwaitExit(engine, kPatience)) {
    throw std::runtime_error("the engine does not end");
  }
}

}  // namespace mptcptls::lab
