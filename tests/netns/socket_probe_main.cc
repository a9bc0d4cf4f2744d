// A program with plain sockets that knows nothing of us: its transcript must be the same with and
// without the product.
//   socket_probe list
//   socket_probe SCENARIO server 0.0.0.0|::
//   socket_probe SCENARIO client SERVERS_ADDRESS
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/netns/probe.h"

using namespace mptcptls::probe;

namespace {

const Scenario* const kTables[] = {kDataScenarios,       kLifeScenarios,    kOptionScenarios,
                                   kConnectScenarios,    kMessageScenarios, kEventScenarios,
                                   kDescriptorScenarios, kProcessScenarios};

const Scenario* Find(const char* name) {
  for (const Scenario* table : kTables) {
    for (const Scenario* s = table; s->name != nullptr; ++s)
      if (strcmp(s->name, name) == 0) return s;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (const Scenario* table : kTables)
      for (const Scenario* s = table; s->name != nullptr; ++s) puts(s->name);
    return 0;
  }
  if (argc == 3 && strcmp(argv[1], "after-exec") == 0) return AfterExec(atoi(argv[2]));
  if (argc == 3 && strncmp(argv[1], "take-", 5) == 0) return TakeOver(argv[1], atoi(argv[2]));
  if (argc == 3 && strcmp(argv[1], "service") == 0) return Service(argv[2]);
  const Scenario* const scenario = argc == 4 ? Find(argv[1]) : nullptr;
  if (scenario == nullptr) {
    fputs("usage: socket_probe list | SCENARIO server|client ADDRESS\n", stderr);
    return 2;
  }
  const Address address = Parse(argv[3], kPort);
  if (strcmp(argv[2], "server") == 0)
    scenario->server(address);
  else
    scenario->client(address);
  return 0;
}
