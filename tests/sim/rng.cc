#include "tests/sim/rng.h"

#include <bit>

namespace mptcptls::sim {

Rng::Rng(uint64_t seed) : seed_(seed) {
  for (uint64_t& word : state_) {
    word = Mix(seed);
    seed += 0x9e3779b97f4a7c15;
  }
}

uint64_t Rng::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Rng::Below(uint64_t n) { return n == 0 ? 0 : Next() % n; }

int64_t Rng::Between(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
}

bool Rng::Chance(double probability) {
  if (probability <= 0) return false;  // draws nothing: a perfect link needs no dice
  return static_cast<double>(Next() >> 11) < probability * 9007199254740992.0;  // 2^53
}

void Rng::Fill(std::span<uint8_t> out) {
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(Next() >> 56);
}

}  // namespace mptcptls::sim
