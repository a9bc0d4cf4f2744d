// What an observer of path 1 tries against a connection (issue "Security in the lab"; the promises
// are PROTOCOL.md 7). One function an attack, one list of them all.
#ifndef MPTCPTLS_TESTS_NETNS_ATTACKS_H_
#define MPTCPTLS_TESTS_NETNS_ATTACKS_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/netns/attacker.h"
#include "tests/netns/victim.h"

namespace mptcptls::lab {

enum class Outcome {
  kHeld,       // refused, and something shows that it was
  kSucceeded,  // the attacker got what he wanted
  kUnclear,    // neither can be shown: as bad as a wrong outcome
};

struct Finding {
  Outcome outcome = Outcome::kUnclear;
  std::string what;  // the packets and counters that show it
};

struct Attack {
  const char* name;
  Outcome with_tls;
  std::optional<Outcome> with_keys;  // nullopt: it makes no sense there
  // A success ends the download.
  bool fatal;
  // Starts the download, attacks, and returns while the download still runs (or has been ended).
  Finding (*run)(Victim& victim, Attacker& attacker);
};

const std::vector<Attack>& AllAttacks();

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_ATTACKS_H_
