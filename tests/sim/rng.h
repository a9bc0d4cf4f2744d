// The simulator's dice: xoshiro256** seeded by splitmix64. Our own few lines, because the
// distributions of <random> differ between libraries and a seed must mean the same run everywhere.
#ifndef MPTCPTLS_TESTS_SIM_RNG_H_
#define MPTCPTLS_TESTS_SIM_RNG_H_

#include <array>
#include <cstdint>
#include <span>

namespace mptcptls::sim {

// One step of splitmix64: also a good 64-bit mixing function.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Rng {
 public:
  explicit Rng(uint64_t seed);

  uint64_t Next();
  uint64_t Below(uint64_t n);                  // [0, n); 0 when n is 0
  int64_t Between(int64_t low, int64_t high);  // [low, high]
  bool Chance(double probability);
  void Fill(std::span<uint8_t> out);
  // A generator of its own for one part of the simulation: what one link draws does not shift what
  // another one draws.
  Rng Fork(uint64_t stream) const { return Rng(Mix(seed_) ^ Mix(stream + 0x51ed)); }

 private:
  uint64_t seed_;
  std::array<uint64_t, 4> state_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_RNG_H_
