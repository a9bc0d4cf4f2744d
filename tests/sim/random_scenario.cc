#include "tests/sim/random_scenario.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "stack/mptcp/scheduler.h"
#include "tests/sim/random_middlebox.h"

namespace mptcptls::sim {
namespace {

// What is decided in one place and matters in another.
struct Draw {
  std::string text;
  size_t paths = 1;
  bool lenient = false;  // some end other than a clean one is right

  void Line(const std::string& line) { text += line + "\n"; }
};

std::string Number(uint64_t n) { return std::to_string(n); }

// Between low and high, small values as likely as large ones.
uint64_t LogUniform(Rng& rng, uint64_t low, uint64_t high) {
  uint64_t octaves = 0;
  while ((low << octaves) < high) ++octaves;
  const uint64_t base = low << rng.Below(octaves + 1);
  return std::min(high, base + rng.Below(base));
}

uint64_t Microseconds(Rng& rng, int64_t low_ms, int64_t high_ms) {
  return static_cast<uint64_t>(rng.Between(low_ms * 1000, high_ms * 1000));
}

std::string Us(uint64_t us) { return Number(us) + "us"; }

std::string Thousandths(uint64_t n) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(n) / 1000);
  return text;
}

// Every property, so that `down` takes none of its path's. `mtu`: 0, drawn here.
std::string RandomLink(Rng& rng, bool with_mtu) {
  std::string link = " delay " + Us(LogUniform(rng, 100, 100'000));
  link += " rate " + Number(rng.Chance(0.1) ? 0 : LogUniform(rng, 2'000'000, 500'000'000));
  uint64_t queue = LogUniform(rng, 20'000, 1'000'000);
  const uint64_t loss = rng.Chance(0.5) ? rng.Below(rng.Chance(0.2) ? 80 : 20) : 0;
  link += " loss " + Thousandths(loss);
  link += " duplicate " + Thousandths(rng.Chance(0.2) ? rng.Below(100) : 0);
  const bool reorder = rng.Chance(0.3);
  link += " reorder " + Thousandths(reorder ? rng.Below(100) : 0);
  link += " by " + Us(reorder ? Microseconds(rng, 0, 10) : 0);
  link += " jitter " + Us(rng.Chance(0.3) ? Microseconds(rng, 0, 10) : 0);
  link += " scatter " + Us(rng.Chance(0.2) ? Microseconds(rng, 0, 10) : 0);
  const uint64_t mtu = rng.Chance(0.3) ? static_cast<uint64_t>(rng.Between(1280, 1500)) : 1500;
  if (with_mtu) link += " mtu " + Number(mtu);
  link += " gro " + Us(rng.Chance(0.3) ? 50 : 0);
  const bool offload = rng.Chance(0.2);
  if (offload) queue = std::max<uint64_t>(queue, 200'000);  // a 64 KiB packet must fit
  link += std::string(" offload ") + (offload ? "yes" : "no") + " queue " + Number(queue);
  link += std::string(" checksums ") + (rng.Chance(0.2) ? "partial" : "complete");
  return link;
}

std::string RandomProgram(Rng& rng, const std::string& ending) {
  uint64_t bytes = rng.Chance(0.1) ? rng.Below(3) : LogUniform(rng, 1, 1 << 21);
  std::string rest;
  uint64_t read_chunk = 0;
  if (rng.Chance(0.1)) {
    read_chunk = LogUniform(rng, 1000, 100'000);
    rest += " reads " + Number(read_chunk) + " every " + Us(Microseconds(rng, 1, 20));
  }
  if (rng.Chance(0.1)) {
    rest += " pauses at " + Us(Microseconds(rng, 0, 1000));
    rest += " for " + Us(Microseconds(rng, 0, 10'000));
  }
  if (rng.Chance(0.1)) {
    const uint64_t chunk = LogUniform(rng, 100, 100'000);
    rest += " writes " + Number(chunk) + " every " + Us(Microseconds(rng, 0, 20));
    bytes = std::min<uint64_t>(bytes, chunk * 500);
  }
  if (read_chunk != 0) bytes = std::min<uint64_t>(bytes, read_chunk * 500);
  if (rng.Chance(0.2)) rest += " keys after " + Us(Microseconds(rng, 0, 4000));
  if (rng.Chance(0.05)) rest += " keys refused";
  if (rng.Chance(0.05)) rest += " keys wrong " + Number(rng.Next());
  return " sends " + Number(bytes) + rest + ending;
}

// Both may wait for the other only if the other does not.
void RandomExchange(Rng& rng, Draw* draw) {
  std::string line = "exchange";
  if (rng.Chance(0.1)) line += " tls no";
  if (rng.Chance(0.3)) line += " start " + Us(Microseconds(rng, 0, 5000));
  draw->Line(line);
  std::string client, server;
  switch (rng.Below(8)) {
    case 0:
      client = " ends after-peer";
      break;
    case 1:
      server = " ends after-peer";
      break;
    case 2: {
      static constexpr const char* kAborts[] = {"abort-after-sending ", "abort-after-receiving ",
                                                "abort-after-peer"};
      std::string& ending = rng.Chance(0.5) ? client : server;
      const uint64_t kind = rng.Below(3);
      ending = std::string(" ends ") + kAborts[kind];
      if (kind < 2) ending += Number(rng.Below(1 << 20));
      draw->lenient = true;
      break;
    }
    case 3:
      (rng.Chance(0.5) ? client : server) = " ends orphan-when-sent";
      draw->lenient = true;
      break;
    default:
      break;
  }
  draw->Line("  client" + RandomProgram(rng, client));
  draw->Line("  server" + RandomProgram(rng, server));
}

void RandomPolicies(Rng& rng, Draw* draw) {
  if (rng.Chance(0.6)) return;
  static constexpr const char* kPolicies[] = {"auto", "tls", "keys", "tcp"};
  for (const char* side : {"client ", "server "}) {
    const std::string policy = kPolicies[rng.Below(4)];
    draw->Line("policy " + (side + policy) + (rng.Chance(0.7) ? "" : " unhooked"));
  }
}

void RandomHosts(Rng& rng, Draw* draw) {
  for (const char* side : {"client", "server"}) {
    std::string line;
    if (rng.Chance(0.1)) line += " segmentation no";
    if (rng.Chance(0.1)) line += " checksum yes";
    if (rng.Chance(0.3)) line += " send-buffer " + Number(LogUniform(rng, 65536, 4 << 20));
    if (rng.Chance(0.3)) line += " receive-buffer " + Number(LogUniform(rng, 16384, 6 << 20));
    static constexpr const char* kCongestion[] = {"cubic", "newreno", "lia", "olia", "balia"};
    if (rng.Chance(0.7)) line += std::string(" congestion ") + kCongestion[rng.Below(5)];
    if (!line.empty()) draw->Line(std::string("host ") + side + line);
  }
}

// With dice of its own, so that what a seed was before there were schedulers it still is.
void RandomSchedulers(uint64_t seed, Draw* draw) {
  Rng rng(Mix(~seed));
  for (const char* side : {"client", "server"}) {
    if (rng.Chance(0.4)) continue;
    const auto& [name, kind] = kSchedulerNames[rng.Below(kSchedulerNames.size())];
    draw->Line(std::string("host ") + side + " scheduler " + std::string(name));
  }
}

// What the path manager is told, likewise with dice of its own.
void RandomPathPolicies(uint64_t seed, Draw* draw) {
  Rng rng(Mix(seed ^ 0x9a7f));
  if (rng.Chance(0.4)) return;
  for (const char* side : {"client", "server"}) {
    std::string line;
    if (rng.Chance(0.3)) line += " mesh full";
    if (rng.Chance(0.2)) line += " max-subflows " + Number(1 + rng.Below(6));
    if (rng.Chance(0.2)) line += " max-addresses " + Number(rng.Below(4));
    if (rng.Chance(0.1)) line += " announce no";
    if (rng.Chance(0.1)) line += " accept-joins no";
    if (!line.empty()) draw->Line(std::string("host ") + side + line);
  }
  static constexpr const char* kUses[] = {"normal", "backup", "metered"};
  for (uint64_t path = 0; path < draw->paths; ++path) {
    if (path > 0 && rng.Chance(0.15)) draw->Line("second-family " + Number(path));
    for (const char* side : {" client ", " server "}) {
      if (rng.Chance(0.6)) continue;
      std::string line = "use " + Number(path) + side + kUses[rng.Below(3)];
      if (rng.Chance(0.3)) line += " subflows " + Number(1 + rng.Below(4));
      draw->Line(rng.Chance(0.7) ? line : "at " + Us(Microseconds(rng, 0, 6000)) + " " + line);
    }
  }
}

// Somebody who reads every path and adds to it, likewise.
void RandomAttacker(uint64_t seed, Draw* draw) {
  Rng rng(Mix(seed ^ 0xa77ac));
  if (!rng.Chance(0.3)) return;
  draw->Line("box all both forge every " + Number(3 + rng.Below(40)));
}

// Failures that pass: a silent hole of a few seconds on any path; addresses that go and come on
// the further ones, and where `anywhere` on the first one too.
void RandomFailures(Rng& rng, bool anywhere, Draw* draw) {
  const uint64_t count = rng.Chance(0.6) ? 0 : 1 + rng.Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t path = rng.Below(draw->paths);
    const uint64_t from = Microseconds(rng, 0, 6000), to = from + Microseconds(rng, 1, 4000);
    const auto pair = [&](const std::string& what, const std::string& first,
                          const std::string& second) {
      draw->Line("at " + Us(from) + " " + what + " " + first);
      draw->Line("at " + Us(to) + " " + what + " " + second);
    };
    const uint64_t kind = rng.Below(4);
    if (kind < 2 && path == 0 && !anywhere) continue;
    switch (kind) {
      case 0:
        pair("link " + Number(path) + " client", "down", "up");
        break;
      case 1:
        pair("link " + Number(path) + " server", "down", "up");
        break;
      case 2:
        pair("hole " + Number(path) + " up", "begin", "end");
        break;
      default:
        pair("hole " + Number(path) + " both", "begin", "end");
        break;
    }
  }
}

}  // namespace

std::string RandomScenarioText(uint64_t seed) {
  Rng rng(Mix(seed));
  Draw draw;
  draw.Line("# Drawn by sim_random --seed " + Number(seed) + " --print");
  draw.Line("seed " + Number(seed));
  draw.Line(rng.Chance(0.5) ? "family v4" : "family v6");
  draw.paths = 1 + rng.Below(3);
  for (size_t i = 0; i < draw.paths; ++i) {
    draw.Line("path" + RandomLink(rng, true));
    if (rng.Chance(0.5)) draw.Line("  down" + RandomLink(rng, false));
  }
  if (rng.Chance(0.2)) draw.Line("mesh");
  if (!rng.Chance(0.8)) draw.Line("listen first");
  RandomPolicies(rng, &draw);
  RandomHosts(rng, &draw);
  RandomSchedulers(seed, &draw);
  RandomPathPolicies(seed, &draw);
  for (uint64_t left = 1 + rng.Below(rng.Chance(0.1) ? 10 : 3); left > 0; --left) {
    RandomExchange(rng, &draw);
  }
  RandomAttacker(seed, &draw);
  draw.lenient |= RandomMiddleboxes(rng, draw.paths, &draw.text);
  const bool first_path_too = rng.Chance(0.2);
  RandomFailures(rng, first_path_too, &draw);
  // Who does not know that a window is scaled sends some hundred bytes a round trip.
  const bool crawls = draw.text.find("strip window-scale") != std::string::npos;
  draw.Line(crawls ? "within 6000s" : "within 600s");
  if (draw.lenient || first_path_too) {
    // A reset that is lost is not repeated: who waits for its sender in silence waits until his own
    // patience ends, as with any TCP.
    draw.Line("at 500s abort survivors");
    draw.Line("at 550s abort all");
    draw.Line("expect client any");
    draw.Line("expect server any");
    draw.Line("expect delivered no");
  }
  return draw.text;
}

ScenarioText RandomScenario(uint64_t seed) {
  std::string error;
  const std::string name = "seed_" + std::to_string(seed);
  auto parsed = ParseScenario(name, RandomScenarioText(seed), &error);
  if (!parsed) {
    std::fprintf(stderr, "%s\n", error.c_str());
    std::abort();  // the two halves of this program disagree
  }
  return std::move(*parsed);
}

}  // namespace mptcptls::sim
