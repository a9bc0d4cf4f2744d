// mptcptls-interop: the product at one end, this machine's kernel MPTCP at the other, row by row.
// Exit status 0 means that each row holds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "tests/netns/interop_rows.h"

namespace mptcptls::lab {
namespace {

constexpr char kCaption[] = R"(
  Each row is a lab of its own, RFC 8684 mode: talkers that check every byte of each other, or curl
  and nginx. "subflows": the most at a time. Counters are the kernel's (nstat, MPTcpExt...); those of
  errors are 0 in each row, but for what the row provokes.

)";

struct Result {
  const InteropRow* row;
  bool good = false;
  std::string outcome;
  std::string counters;
  size_t subflows = 0;
};

std::string Side(const InteropRow& row) {
  return row.options.we == Role::kClient ? "client" : "server";
}

const char* NameOf(Family family) { return family == Family::kV4 ? "IPv4" : "IPv6"; }

Result Run(const InteropRow& row) {
  Result result{.row = &row, .outcome = {}, .counters = {}};
  Interop interop(row.options);
  try {
    result.outcome = row.run(interop);
    result.good = true;
  } catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
    const std::string text = error.what();
    result.outcome = "FAILED: " + text.substr(0, text.find('\n'));
  }
  result.subflows = interop.subflows();
  for (const auto& [name, value] : interop.shown()) {
    result.counters += (result.counters.empty() ? "" : ", ") + name + " " + std::to_string(value);
  }
  return result;
}

void Print(const std::vector<Result>& results) {
  printf("\n  %-36s %-6s %-4s  %-42s %-8s %s\n", "row", "we are", "IP", "outcome", "subflows",
         "the kernel's counters");
  const std::string line(190, '-');
  printf("  %s\n", line.c_str());
  for (const Result& result : results) {
    const InteropRow& row = *result.row;
    printf("%s %-36s %-6s %-4s  %-42s %-8zu %s\n", result.good ? " " : "!", row.name.c_str(),
           Side(row).c_str(), NameOf(row.options.family), result.outcome.c_str(), result.subflows,
           result.counters.c_str());
  }
  printf("  %s\n", line.c_str());
  fputs(kCaption, stdout);
}

int Main(const std::string& only) {
  std::vector<InteropRow> rows = AllInteropRows();
  std::erase_if(rows, [&](const InteropRow& row) {
    return (Side(row) + ": " + row.name).find(only) == std::string::npos;
  });
  if (rows.empty()) throw std::runtime_error("no row's name contains \"" + only + "\"");
  std::vector<Result> results;
  for (const InteropRow& row : rows) {
    fprintf(stderr, "%s: %s, %s ... ", Side(row).c_str(), row.name.c_str(),
            NameOf(row.options.family));
    const auto begin = std::chrono::steady_clock::now();
    results.push_back(Run(row));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fprintf(stderr, "%s (%.1f s)\n", results.back().good ? "good" : "FAILED", took.count());
  }
  Print(results);
  const auto bad = std::ranges::count_if(results, [](const Result& r) { return !r.good; });
  if (bad == 0) printf("  All %zu hold.\n", results.size());
  if (bad != 0) printf("  %td of %zu do NOT hold (marked with !).\n", bad, results.size());
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mptcptls::lab

int main(int argc, char** argv) {
  CLI::App app(
      "The product at one end, this kernel's MPTCP at the other: a table of what they do together, "
      "and exit status 0 if every row holds.",
      "interop.sh");
  std::string only;
  app.add_option("--only", only, "only rows whose \"SIDE: NAME\" contains this, e.g. \"server: \"");
  CLI11_PARSE(app, argc, argv);
  try {
    return mptcptls::lab::Main(only);
  } catch (const std::exception& error) {
    fprintf(stderr, "\ninterop: %s\n", error.what());
    return 1;
  }
}
