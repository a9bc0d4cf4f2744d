#include "tests/sim/random_middlebox.h"

#include <cstdint>

namespace mptcptls::sim {
namespace {

std::string Number(uint64_t n) { return std::to_string(n); }
std::string Between(Rng& rng, int64_t low, int64_t high) {
  return Number(static_cast<uint64_t>(rng.Between(low, high)));
}

std::string On(Rng& rng) {
  static constexpr const char* kWhich[] = {"", " on syn", " on syn-ack", " on not-syn"};
  return kWhich[rng.Below(4)];
}

// A box on one direction of a path, with its operands. Pieces fit the least MTU with all options.
std::string RandomBox(Rng& rng, bool up) {
  switch (rng.Below(17)) {
    case 0:
    case 1:
      return "strip mptcp" + On(rng);
    case 2:
      // The SYN/ACK of a server that thinks it speaks MPTCP would be dropped for ever.
      return up ? "drop mptcp on syn" : "strip mptcp on syn-ack";
    case 3:
      return "strip sack-permitted" + On(rng);
    case 4:
      return "strip timestamps" + On(rng);
    case 5:
      return "strip window-scale" + On(rng);
    case 6:
      return "strip sack";
    case 7:
      return rng.Chance(0.2) ? "strip mss" : "mss " + Between(rng, 256, 1460);
    case 8:
      return "split " + Between(rng, 300, 1200);
    case 9:
    case 10:
      return "resegment " + Between(rng, 200, 1100);
    case 11:
      return "reorder every " + Between(rng, 2, 50) + " by " + Between(rng, 1, 20);
    case 12:
      return "duplicate every " + Between(rng, 2, 50) + " late " + Between(rng, 0, 30);
    case 13:
      return "urgent every " + Between(rng, 1, 20) + " pointer " + Between(rng, 0, 65535);
    case 14:
      return "merge " + Between(rng, 300, 1100);
    case 15:
      return "alter " + Between(rng, 0, 100);
    default:
      return "split 536";
  }
}

}  // namespace

bool RandomMiddleboxes(Rng& rng, size_t paths, std::string* text) {
  bool rebound = false;
  uint64_t altered = 0;
  if (rng.Chance(0.4)) return false;
  for (size_t path = 0; path < paths; ++path) {
    const std::string place = Number(path);
    for (const bool up : {true, false}) {
      const uint64_t count = rng.Chance(0.5) ? 0 : 1 + rng.Below(3);
      for (uint64_t i = 0; i < count; ++i) {
        const std::string box = RandomBox(rng, up);
        *text += "box " + place + (up ? " up " : " down ") + box + "\n";
        altered += box.starts_with("alter");
        // What is merged without regard to mappings breaks the only subflow, unless it is plain
        // TCP.
        if (path == 0 && box.starts_with("merge")) *text += "box 0 both strip mptcp\n";
      }
    }
    if (rng.Chance(0.1)) {
      *text += "box " + place + " both nat\n";
      if (rng.Chance(0.5)) {
        *text += "at " + Between(rng, 0, 6000) + "ms rebind " + place + "\n";
        rebound = true;
      }
    }
    if (path == 0 && rng.Chance(0.05)) *text += "box 0 both echo\n";
  }
  // Whoever has checksums and several subflows resets the one whose bytes are changed.
  if (altered > 0) *text += "expect altered " + Number(altered) + "\n";
  return rebound || altered > 0;
}

}  // namespace mptcptls::sim
