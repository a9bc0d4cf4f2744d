// What the product and the kernel's MPTCP have to do together: one function a row, a list for each
// topic. Tests run each row; scripts/interop.sh prints them all.
#ifndef MPTCPTLS_TESTS_NETNS_INTEROP_ROWS_H_
#define MPTCPTLS_TESTS_NETNS_INTEROP_ROWS_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/netns/interop.h"

namespace mptcptls::lab {

struct InteropRow {
  std::string name;
  InteropOptions options;
  // Throws when something does not hold; returns the outcome in a few words.
  std::function<std::string(Interop&)> run;
};

std::vector<InteropRow> JoinRows();
std::vector<InteropRow> AddressRows();
std::vector<InteropRow> PriorityRows();
std::vector<InteropRow> EndRows();
std::vector<InteropRow> FallbackRows();
std::vector<InteropRow> ProgramRows();
// All of them, in the table's order.
std::vector<InteropRow> AllInteropRows();

// What several topics begin with: the other end's addresses on links 2 and up are announced (by the
// kernel as `signal` endpoints with `flags`, or by us), talkers are connected, and every link
// carries.
void TalkOverAllLinks(Interop& interop, const std::string& flags = "",
                      const TalkOptions& options = {});

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_INTEROP_ROWS_H_
