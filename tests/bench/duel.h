// Two hosts with one emulated link between them, and single transfers over it: the kernel's TCP at
// both ends, or the product at one of them.
#ifndef MPTCPTLS_TESTS_BENCH_DUEL_H_
#define MPTCPTLS_TESTS_BENCH_DUEL_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/bench/wire.h"
#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::bench {

// iperf3 uploads for a time; curl downloads so many bytes over TLS from nginx. So either end of a
// connection sends.
enum class Tool { kIperf3, kCurl };
// Which end of the transfer the product is at; the other is the kernel's.
enum class Ours { kNowhere, kSends, kReceives };

std::string NameOf(Tool tool);
std::string NameOf(Ours ours);  // kernel, send, receive

struct Speed {
  double mbit = 0;      // of the programs' data, as the receiving one counted
  std::string failure;  // empty when the transfer worked
};

class Duel {
 public:
  // Throws std::runtime_error with cause and remedy when this machine cannot.
  Duel();

  // One transfer of about `length` over `wire`, whose dice fall as `seed` says. Nothing of it is
  // left afterwards. A transfer that fails is a result; what cannot be measured at all throws.
  Speed Run(Tool tool, Ours ours, const Wire& wire, std::chrono::duration<double> length,
            uint64_t seed);

  // For those who run programs of their own over the link.
  const lab::Lab& lab() const { return lab_; }
  void Set(const Wire& wire, uint64_t seed);
  // Waits until no connection is left on a link that does no harm; the engines end.
  void Settle();

 private:
  Speed Transfer(Tool tool, Ours ours, const Wire& wire, double seconds);
  Speed RunIperf3(Ours ours, double seconds);
  Speed RunCurl(Ours ours, uint64_t bytes, double seconds);
  std::string Address() const;

  lab::Lab lab_;
  lab::Nginx nginx_;
};

// Starts `iperf3 -s` for one client and returns when it listens.
std::unique_ptr<lab::Child> StartIperf3Server(const lab::Host& host, int port,
                                              const std::vector<std::string>& env);
std::unique_ptr<lab::Child> StartIperf3Client(const lab::Host& host, const std::string& address,
                                              int port, double seconds,
                                              const std::vector<std::string>& env);
// Waits for both to end.
Speed FinishIperf3(lab::Child& client, lab::Child& server, double seconds);

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_DUEL_H_
