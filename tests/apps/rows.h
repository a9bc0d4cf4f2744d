// The matrix of real programs: one row is a server and a client, unmodified, and the job that they
// do; a list for each topic. Tests run some rows, scripts/apps.sh all of them.
#ifndef MPTCPTLS_TESTS_APPS_ROWS_H_
#define MPTCPTLS_TESTS_APPS_ROWS_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/apps/app.h"

namespace mptcptls::lab {

struct AppRow {
  std::string name;            // by which it is asked for
  std::string server, client;  // as the table shows them
  std::string job;
  // What connections are with both ends preloaded: tls-auth, keys, tcp.
  std::string mode;
  // Why it is not tls-auth with two paths; empty where it is.
  std::string reason = "";
  // That carry; plain TCP has one.
  size_t paths = 2;
  // One of ctest's: fast, and different from the others in how it does its input and output.
  bool tested = false;
  // Programs that must be there.
  std::vector<std::string> needs;
  // Throws when something does not hold.
  std::function<void(App&)> run;
};

std::vector<AppRow> WebServerRows();
std::vector<AppRow> WebClientRows();
std::vector<AppRow> ScriptRows();
std::vector<AppRow> DatabaseRows();
std::vector<AppRow> TunnelRows();
std::vector<AppRow> StarttlsRows();
std::vector<AppRow> OtherRows();
// All of them, in the table's order.
std::vector<AppRow> AllAppRows();

// The row with these ends preloaded; alone, an end is plain TCP whatever the row's mode. Throws
// when something does not hold; returns the outcome in a few words.
std::string RunRow(const AppRow& row, Preloaded preloaded);

// What a row needs and this machine does not have, separated by spaces; empty: nothing.
std::string MissingPrograms(const AppRow& row);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_APPS_ROWS_H_
