// A link emulator in userspace, for kernels without netem: it forwards Ethernet frames between two
// interfaces with delay, jitter, seeded loss, a rate with a queue, and a black hole.
//
// Settings are text, "delay_ms=20 loss=0.01": on the command line of mptcptls-linkemu as options,
// and at run time through its Unix socket, where "stats" asks for what was done and "restart SEED"
// forgets all of it: frames on their way are lost, and the dice fall from their beginning.
#ifndef MPTCPTLS_TESTS_NETNS_LINKEMU_H_
#define MPTCPTLS_TESTS_NETNS_LINKEMU_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace mptcptls::lab {

using EmulatorTime = std::chrono::steady_clock::time_point;

// One setting for both directions.
struct LinkemuSettings {
  double delay_ms = 0;
  // Each frame waits up to this much longer; frames overtake each other only with reorder=1.
  double jitter_ms = 0;
  bool reorder = false;
  // Probability that a frame is lost, 0 to 1.
  double loss = 0;
  // 0: unlimited.
  double rate_mbit = 0;
  // Bytes that wait for the rate; what does not fit is dropped.
  double queue_kb = 256;
  bool blackhole = false;

  // Takes in "name=value name=value ..."; false, with nothing changed and the reason in `*error`,
  // for anything else.
  bool Parse(const std::string& text, std::string* error);
};

struct LinkemuStats {
  uint64_t forwarded = 0;
  uint64_t lost = 0;
  uint64_t queue_full = 0;
  uint64_t blackholed = 0;
  std::string ToString() const;
};

// One direction: decides for each frame whether and when it leaves. Sans-I/O. What the dice say of
// the Nth frame depends on the seed and N alone, whatever became of those before it: two senders in
// turn meet the same losses.
class LinkemuDirection {
 public:
  explicit LinkemuDirection(uint64_t seed) : dice_(seed) {}

  void Enqueue(const LinkemuSettings& settings, std::vector<uint8_t> frame, EmulatorTime now);
  // When the next frame leaves; nullopt when none waits.
  std::optional<EmulatorTime> NextDeparture() const;
  // The next frame that is due; empty when none is.
  std::vector<uint8_t> Dequeue(EmulatorTime now);
  const LinkemuStats& stats() const { return stats_; }

 private:
  struct Waiting {
    EmulatorTime departure;
    uint64_t order;
    std::vector<uint8_t> frame;
    bool operator<(const Waiting& other) const {
      return departure != other.departure ? departure > other.departure : order > other.order;
    }
  };

  std::mt19937_64 dice_;
  std::priority_queue<Waiting> waiting_;
  uint64_t order_ = 0;
  // When the rate has sent everything so far.
  EmulatorTime busy_until_{};
  EmulatorTime last_departure_{};
  LinkemuStats stats_;
};

// Sends one command to a running emulator and returns the answer; throws std::runtime_error when it
// does not answer or refuses.
std::string ControlLinkemu(const std::string& socket_path, const std::string& command);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_LINKEMU_H_
