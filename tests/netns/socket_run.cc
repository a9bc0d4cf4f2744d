#include "tests/netns/socket_run.h"

#include <filesystem>
#include <optional>

#include "tests/netns/child.h"

namespace mptcptls::lab {

std::string Probe() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "socket_probe";
}

Transcript RunBoth(const Lab& lab, const std::string& scenario, Family family,
                   const std::vector<std::string>& server_env,
                   const std::vector<std::string>& client_env) {
  const auto server = lab.server().Start(
      {.argv = {Probe(), scenario, "server", family == Family::kV4 ? "0.0.0.0" : "::"},
       .env = server_env});
  if (!Eventually(
          [&] { return server->out().find("ready\n") != std::string::npos || !server->Running(); }))
    return {server->out() + "never ready", ""};
  const auto client = lab.client().Start(
      {.argv = {Probe(), scenario, "client", lab.Address(lab.server(), 1, family)},
       .env = client_env});
  const auto finish = [](Child& child) {
    const std::optional<int> status = child.Wait(std::chrono::seconds(40));
    return child.out() + child.err() +
           (status ? "exit status " + std::to_string(*status) : std::string("hangs"));
  };
  const std::string client_says = finish(*client);
  return {finish(*server), client_says};
}

}  // namespace mptcptls::lab
