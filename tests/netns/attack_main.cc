// mptcptls-attack: an observer of path 1 attacks a download, once under TLS keys and once under the
// keys of RFC 8684. Exit status 0 means that each attack ended as the table says it has to.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "tests/netns/attacks.h"

namespace mptcptls::lab {
namespace {

constexpr char kCaption[] = R"(
  curl downloads from nginx over two paths; each row is a download of its own. The attacker is a
  third host. He saw all of path 1 (for the replayed join path 2 too), the first handshake included,
  and can send in anybody's name. The handshake shows the keys themselves under RFC 8684, so success
  is expected where they are all it takes; in TLS-auth mode it shows tokens, tried as if they were
  keys. "complete": the file came with its SHA-256 right.
  Not counted, as no mode promises otherwise: who sees a subflow's sequence numbers can end that
  subflow by a bare RST. That is plain TCP's weakness; the other path goes on.

)";

struct Row {
  const Attack* attack;
  Authentication authentication;
  Outcome expected;
  Finding finding;
  bool alive;  // the download still ran when the attack was over
  Download download = Download::kHung;

  // A success of some attacks is that the download is over.
  bool good() const {
    if (finding.outcome != expected) return false;
    if (expected == Outcome::kSucceeded && attack->fatal) return download == Download::kFailed;
    return alive && download == Download::kComplete;
  }
};

const char* NameOf(Authentication authentication) {
  return authentication == Authentication::kTls ? "TLS-auth" : "RFC 8684";
}

const char* NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHeld:
      return "held";
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kUnclear:
      break;
  }
  return "UNCLEAR";
}

const char* TransferOf(const Row& row) {
  switch (row.download) {
    case Download::kComplete:
      return row.alive ? "complete" : "too short";
    case Download::kFailed:
      return "killed";
    case Download::kHung:
      break;
  }
  return "hung";
}

Row Run(const Attack& attack, Authentication authentication, Victim& victim, Attacker& attacker) {
  Row row{.attack = &attack,
          .authentication = authentication,
          .expected = authentication == Authentication::kTls ? attack.with_tls : *attack.with_keys,
          .finding = attack.run(victim, attacker),
          .alive = victim.Downloading()};
  row.download = victim.FinishDownload();
  // By the wire, not by what the product says of itself.
  const std::string mode = victim.Seen().mode;
  if (mode != (authentication == Authentication::kTls ? "tls-auth" : "keys")) {
    row.finding = {Outcome::kUnclear, "the connection was " + mode};
  }
  return row;
}

void RunAll(Authentication authentication, const std::string& only, std::vector<Row>* rows) {
  Victim victim(authentication);
  Attacker attacker(victim.lab().stranger(), "l1",
                    victim.lab().Address(victim.lab().stranger(), 1, Family::kV4),
                    victim.lab().folder());
  for (const Attack& attack : AllAttacks()) {
    if (authentication == Authentication::kKeys && !attack.with_keys) continue;
    if (std::string(attack.name).find(only) == std::string::npos) continue;
    fprintf(stderr, "%s: %s ... ", NameOf(authentication), attack.name);
    const auto begin = std::chrono::steady_clock::now();
    rows->push_back(Run(attack, authentication, victim, attacker));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fprintf(stderr, "%s (%.1f s)\n", NameOf(rows->back().finding.outcome), took.count());
  }
}

void Print(const std::vector<Row>& rows) {
  printf("\n  %-38s %-9s %-10s %-10s %-9s %s\n", "attack", "mode", "expected", "outcome",
         "transfer", "what was seen");
  const std::string line(38 + 1 + 9 + 1 + 10 + 1 + 10 + 1 + 9 + 1 + 62, '-');
  Authentication last = Authentication::kKeys;
  for (const Row& row : rows) {
    if (row.authentication != last) printf("  %s\n", line.c_str());
    last = row.authentication;
    printf("%s %-38s %-9s %-10s %-10s %-9s %s\n", row.good() ? " " : "!", row.attack->name,
           NameOf(row.authentication), NameOf(row.expected), NameOf(row.finding.outcome),
           TransferOf(row), row.finding.what.c_str());
  }
  printf("  %s\n", line.c_str());
  fputs(kCaption, stdout);
}

int Main(const std::string& only) {
  const auto wanted = [&](const Attack& attack) {
    return std::string(attack.name).find(only) != std::string::npos;
  };
  if (std::ranges::none_of(AllAttacks(), wanted)) {
    throw std::runtime_error("no attack's name contains \"" + only + "\"");
  }
  std::vector<Row> rows;
  RunAll(Authentication::kTls, only, &rows);
  RunAll(Authentication::kKeys, only, &rows);
  Print(rows);
  int bad = 0;
  for (const Row& row : rows) bad += !row.good();
  if (bad == 0) printf("  All %zu as expected.\n", rows.size());
  if (bad != 0) printf("  %d of %zu NOT as expected (marked with !).\n", bad, rows.size());
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mptcptls::lab

int main(int argc, char** argv) {
  CLI::App app(
      "An observer of path 1 attacks a download by curl from nginx, under TLS keys and under RFC "
      "8684: a table of what held, and exit status 0 if every attack ended as expected.",
      "attack.sh");
  std::string only;
  app.add_option("--only", only, "only attacks whose names contain this");
  CLI11_PARSE(app, argc, argv);
  try {
    return mptcptls::lab::Main(only);
  } catch (const std::exception& error) {
    fprintf(stderr, "\nattack: %s\n", error.what());
    return 1;
  }
}
