// The socket probe's two ends, run once: what they say.
#ifndef MPTCPTLS_TESTS_NETNS_SOCKET_RUN_H_
#define MPTCPTLS_TESTS_NETNS_SOCKET_RUN_H_

#include <string>
#include <utility>
#include <vector>

#include "tests/netns/lab.h"

namespace mptcptls::lab {

using Transcript = std::pair<std::string, std::string>;  // the server's, the client's

std::string Probe();

// What both ends say, errors of the programs included.
Transcript RunBoth(const Lab& lab, const std::string& scenario, Family family,
                   const std::vector<std::string>& server_env,
                   const std::vector<std::string>& client_env);

inline Transcript RunBoth(const Lab& lab, const std::string& scenario, Family family,
                          const std::vector<std::string>& env) {
  return RunBoth(lab, scenario, family, env, env);
}

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_SOCKET_RUN_H_
