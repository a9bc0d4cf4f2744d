// One connection between the product at one end and the kernel's MPTCP at the other (RFC 8684
// mode), in a lab of its own: talkers at both ends, or Debian's curl and nginx.
//
// With INTEROP_TRACE=FOLDER in the environment the packets on the client's links are kept there, as
// lK.pcap.
//
// Whatever does not hold throws std::runtime_error that says what: the rows are run by tests and by
// the table of scripts/interop.sh.
#ifndef MPTCPTLS_TESTS_NETNS_INTEROP_H_
#define MPTCPTLS_TESTS_NETNS_INTEROP_H_

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/netns/capture.h"
#include "tests/netns/kernel_mptcp.h"
#include "tests/netns/lab.h"
#include "tests/netns/product.h"

namespace mptcptls::lab {

enum class Role { kClient, kServer };

inline constexpr int kTalkPort = 5000;

struct Carried {
  uint64_t up = 0, down = 0;  // bytes from the client, to the client
};

// How a talker ended.
struct TalkResult {
  uint64_t said = 0, heard = 0;
  bool right = false;  // all that it heard
  std::string end;     // eof, broken off, or an errno's name
  bool mptcp = false;  // the kernel speaks it on this socket, to the end
};

struct InteropOptions {
  Role we = Role::kClient;
  Family family = Family::kV4;  // of the first subflow, and the only one there is
  bool both_families = false;   // there is the other one too
  int links = 2;
  Middle middle = Middle::kBridge;
  int mbit = 100;  // of each link; 0: unshaped
};

struct TalkOptions {
  // Where the server listens: empty for all addresses.
  std::string listen = "";
  bool client_silent = false, server_silent = false;
  bool kernel_plain = false;  // the kernel's end is a TCP socket
  bool unread = false;        // how talkers break off
};

class Interop {
 public:
  explicit Interop(const InteropOptions& options);

  Lab& lab() { return lab_; }
  const InteropOptions& options() const { return options_; }
  bool we_are_client() const { return options_.we == Role::kClient; }
  const Host& ours() const { return we_are_client() ? lab_.client() : lab_.server(); }
  const Host& kernels() const { return we_are_client() ? lab_.server() : lab_.client(); }
  KernelMptcp& kernel() { return kernel_; }
  std::string Address(const Host& host, int link) const {
    return lab_.Address(host, link, options_.family);
  }

  // Starts both talkers and waits until they are connected.
  void Talk(const TalkOptions& options = {});
  Child& our_talker() { return we_are_client() ? *client_ : *server_; }
  Child& kernel_talker() { return we_are_client() ? *server_ : *client_; }

  // Throw with `what`, and what both ends say of themselves, unless it holds (before the deadline).
  void Require(bool condition, const std::string& what) const;
  void RequireEventually(const std::function<bool()>& condition, const std::string& what) const;

  // Waits until both ends have this many working subflows, and notes it as the row's.
  void AwaitSubflows(size_t count);
  // Subflows of our only connection that can carry data (of a closed one: none).
  size_t OurSubflows() const;
  std::optional<ConnectionStatus> OurConnection() const;
  // The engine's.
  uint64_t OurCounter(const std::string& name) const;

  // Waits until each subflow that is there has carried this much more, both ways.
  void AwaitSubflowTraffic(uint64_t more = 128 << 10);
  // What the client's end of a link has carried, by the kernel's counters.
  Carried CarriedBy(int link) const;
  // Waits until the link has carried this much more, both ways.
  void AwaitTraffic(int link, uint64_t more = 256 << 10) const;
  // While link `busy` carries `more` both ways, `idle` carries no more than acknowledgements.
  bool IdlesWhile(int idle, int busy, uint64_t more = 2 << 20) const;

  // Ends the conversation by a FIN of the client; all must be right, and nothing may be left.
  void EndWell();
  TalkResult ResultOf(Child& talker, const std::string& who);
  // Neither end may know the connection any more.
  void RequireNothingLeft();
  // Nobody answers the FIN of one of the kernel's subflows: it may try for as long as it likes.
  void OtherEndIsGone() { other_end_gone_ = true; }

  // The kernel's counters of what goes wrong must be 0 at the end, but for those named, which the
  // row then shows.
  void Allow(const std::set<std::string>& counters) {
    allowed_.insert(counters.begin(), counters.end());
  }
  void RequireNoErrors();
  // The row's own counters: each at least this, and exactly so where `exact`.
  void RequireCounters(const std::map<std::string, uint64_t>& counters, bool exact = true);

  // What the row has to show; of the subflows the most that there were.
  void NoteSubflows(size_t count) { subflows_ = std::max(subflows_, count); }
  size_t subflows() const { return subflows_; }
  const std::map<std::string, uint64_t>& shown() const { return shown_; }

 private:
  std::string Diagnosis() const;

  InteropOptions options_;
  Lab lab_;
  KernelMptcp kernel_;
  std::vector<std::unique_ptr<Capture>> traces_;
  std::unique_ptr<Child> server_, client_;
  std::set<std::string> allowed_;
  bool other_end_gone_ = false;
  size_t subflows_ = 1;
  std::map<std::string, uint64_t> shown_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_INTEROP_H_
