// Which path carries the next bytes of a connection, and which bytes go again on another one. The
// policies are those of the literature, one a file (scheduler_*.cc). They see plain numbers only,
// keep no clock and take no memory, so the same views give the same answers.
//
// Common to all: a path that does not answer is used only when all are so, a backup (RFC 8684
// 3.3.8) only when nothing else answers. Bytes of a path that was lost are repaired by the
// connection itself (reinjection.cc), on the path that PickLowestRtt() gives.
#ifndef MPTCPTLS_STACK_MPTCP_SCHEDULER_H_
#define MPTCPTLS_STACK_MPTCP_SCHEDULER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "stack/mptcp/carriers.h"
#include "stack/types.h"

namespace mptcptls {

enum class SchedulerKind : uint8_t {
  kLowestRtt,   // the default; with opportunistic reinjection and penalisation
  kBlest,       // Ferlin et al., "BLEST", IFIP Networking 2016
  kEcf,         // Lim et al., "ECF", CoNEXT 2017
  kRoundRobin,  // evenly
  kRedundant,   // everything on every path
  kLatency,     // what is small stays on the path with the least delay
};
inline constexpr std::array kSchedulerNames = {
    std::pair{std::string_view("lowest-rtt"), SchedulerKind::kLowestRtt},
    std::pair{std::string_view("blest"), SchedulerKind::kBlest},
    std::pair{std::string_view("ecf"), SchedulerKind::kEcf},
    std::pair{std::string_view("round-robin"), SchedulerKind::kRoundRobin},
    std::pair{std::string_view("redundant"), SchedulerKind::kRedundant},
    std::pair{std::string_view("latency"), SchedulerKind::kLatency},
};
std::string_view SchedulerName(SchedulerKind kind);

// One path that may carry data. Sizes are payload bytes.
struct PathView {
  uint32_t id = 0;      // for as long as the path lives; never used again
  bool stale = false;   // it does not answer
  bool backup = false;  // the peer or we asked to use it last
  Duration srtt{0}, rttvar{0};
  uint32_t cwnd = 0, in_flight = 0;
  size_t room = 0;  // what may leave on it now
  uint32_t mss = 1;
  uint64_t unacked = 0;  // sent on it and not acknowledged by its TCP
  // Stream offset: of what is unacknowledged, everything before it was sent on this path.
  uint64_t sent_to = 0;
};

// What a decision is made of. Offsets are those of the stream.
struct SendView {
  Time now{};
  std::span<const PathView> paths;
  uint64_t una = 0;      // first without a Data ACK
  uint64_t next = 0;     // first that was never sent
  uint64_t backlog = 0;  // bytes from `next` on that the program has written
  uint64_t window = 0;   // of these, what the peer's window takes
  // Bytes that may be without a Data ACK at all: the peer's window and our buffer.
  uint64_t send_window = 0;
  bool blocked = false;  // what comes next waits for the peer's window, or for room in our buffer
  const Carriers* carriers = nullptr;  // of [una, next)
};

// Bytes that go again.
struct Repeat {
  size_t path = 0;  // index in SendView::paths
  uint64_t begin = 0, end = 0;
  std::optional<size_t> penalised;  // the path that has blocked the others with them
};

class Scheduler {
 public:
  static std::unique_ptr<Scheduler> Create(SchedulerKind kind);
  explicit Scheduler(SchedulerKind kind) : kind_(kind) {}
  virtual ~Scheduler() = default;
  SchedulerKind kind() const { return kind_; }

  // The path, as an index in `view.paths`, for new bytes; nullopt: they wait. Asked with
  // `view.window` > 0, once per segment.
  virtual std::optional<size_t> Pick(const SendView& view) = 0;
  // So many of them were sent there.
  virtual void OnSent(const PathView& /*path*/, size_t /*bytes*/) {}
  // Asked when no new bytes can go. Here: opportunistic reinjection with penalisation (Raiciu et
  // al., "How Hard Can It Be?", NSDI 2012, 4.2).
  virtual std::optional<Repeat> Again(const SendView& view);
  // Whatever is unacknowledged goes out on every path anyway: nothing is to be repaired where one
  // of several fails.
  virtual bool sends_everywhere() const { return false; }

 private:
  const SchedulerKind kind_;
};

// ---- What the policies are made of; all give indices in `view.paths`.

// Whether a path is to be used at all, while others are there.
bool InUse(const SendView& view, const PathView& path);
// The one with the least round trip time, with room or without.
std::optional<size_t> Fastest(const SendView& view);
std::optional<size_t> FastestWithRoom(const SendView& view);
// The fastest with room; a slower one only if it would be done before the faster one could have
// taken its bytes as well.
std::optional<size_t> PickLowestRtt(const SendView& view);

std::unique_ptr<Scheduler> MakeLowestRtt();
std::unique_ptr<Scheduler> MakeBlest();
std::unique_ptr<Scheduler> MakeEcf();
std::unique_ptr<Scheduler> MakeRoundRobin();
std::unique_ptr<Scheduler> MakeRedundant();
std::unique_ptr<Scheduler> MakeLatency();

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_SCHEDULER_H_
