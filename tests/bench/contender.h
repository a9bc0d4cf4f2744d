// Who carries the bytes: the product, the kernel's TCP and MPTCP, and the floor under any design
// like ours.
#ifndef MPTCPTLS_TESTS_BENCH_CONTENDER_H_
#define MPTCPTLS_TESTS_BENCH_CONTENDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/transfer.h"
#include "tests/netns/lab.h"

namespace mptcptls::bench {

enum class Contender { kOurs, kTcp, kMptcp, kFloor };

std::string NameOf(Contender contender);      // ours, tcp, mptcp, floor
std::string DescribeOf(Contender contender);  // for the legend
// In the order in which they are shown.
std::vector<Contender> AllContenders();

struct Task {
  uint64_t bytes = 0;  // 0: as many as go in `seconds`; not for the floor
  double seconds = 0;
  // While it runs; may wait for what it sees of it.
  std::function<void()> meanwhile = [] {};
  int link = 1;  // that the connection begins on
  // Of the kernel's contenders; ours has its own CUBIC.
  std::string congestion = "cubic";
};

struct Sample {
  Transfer transfer;
  double second_link_share = 0;  // of all bytes on the links
};

// Tells the hosts' kernels to use every link for MPTCP.
void PrepareKernelMptcp(const lab::Lab& lab);

// Throws std::runtime_error with cause and remedy when it cannot run here at all.
void RequireContender(Contender contender);

// Carries the task's bytes from client to server once; nothing of it still runs afterwards. Throws
// std::runtime_error with what the programs said when it fails or is not what it claims to be.
Sample Run(Contender contender, const lab::Lab& lab, const Task& task);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_CONTENDER_H_
