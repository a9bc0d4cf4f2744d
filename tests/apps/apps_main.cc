// mptcptls-apps: real programs from Debian, unmodified, with the product preloaded at both ends, at
// the client's alone, and at the server's alone. Exit status 0 means that each row holds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "tests/apps/rows.h"

namespace mptcptls::lab {
namespace {

constexpr char kCaption[] = R"(
  Each cell is a lab of its own with two links of 100 Mbit/s: the programs do their job, what they carried is
  compared, and both engines' status is read. Both ends preloaded: "tls-auth, 2 paths" is a second path that was
  admitted under keys of the programs' own TLS session, and carried; "keys" one under the clear keys of RFC 8684.
  One end preloaded, each in turn: plain TCP, and the job done all the same. "connections": of 512 KiB or more.

)";

struct Cell {
  bool good = true;
  std::string outcome;
};

struct Result {
  const AppRow* row;
  std::vector<Cell> cells;
  bool good() const { return std::ranges::all_of(cells, &Cell::good); }
};

const std::vector<std::pair<Preloaded, const char*>> kEnds = {
    {Preloaded::kBoth, "both"}, {Preloaded::kClient, "client"}, {Preloaded::kServer, "server"}};

Cell RunCell(const AppRow& row, Preloaded preloaded) {
  try {
    return {.good = true, .outcome = RunRow(row, preloaded)};
  } catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
    const std::string text = error.what();
    return {.good = false, .outcome = "FAILED: " + text.substr(0, text.find('\n'))};
  }
}

Result Run(const AppRow& row, const std::string& only) {
  Result result{.row = &row, .cells = {}};
  for (const auto& [preloaded, name] : kEnds) {
    if (!only.empty() && only != name) continue;
    fprintf(stderr, "%s, preloaded: %s ... ", row.name.c_str(), name);
    const auto begin = std::chrono::steady_clock::now();
    result.cells.push_back(RunCell(row, preloaded));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fprintf(stderr, "%s (%.1f s)\n", result.cells.back().good ? "good" : "FAILED", took.count());
  }
  return result;
}

// The ends that are preloaded alone, in a few words.
std::string Alone(const Result& result) {
  std::string text;
  for (size_t i = 1; i < result.cells.size(); ++i) {
    const Cell& cell = result.cells[i];
    if (!cell.good)
      text += std::string(text.empty() ? "" : "; ") + kEnds[i].second + ": " + cell.outcome;
  }
  return text.empty() && result.cells.size() > 1 ? "tcp" : text;
}

// A column is as wide as what it holds.
void PrintTable(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  const std::string rule(std::accumulate(widths.begin(), widths.end(), 2 * widths.size()), '-');
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      text += line[i] + std::string(widths[i] - line[i].size() + (i == 0 ? 1 : 2), ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    printf("%s\n", text.c_str());
    if (&line == &lines.front()) printf("  %s\n", rule.c_str());
  }
  printf("  %s\n", rule.c_str());
}

void Print(const std::vector<Result>& results, const std::string& only) {
  const std::string first =
      only.empty() || only == "both" ? "both ends preloaded" : only + " preloaded";
  std::vector<std::vector<std::string>> lines = {
      {" ", "row", "server", "client", "job", first, "one end", "why"}};
  for (const Result& result : results) {
    const AppRow& row = *result.row;
    lines.push_back({result.good() ? " " : "!", row.name, row.server, row.client, row.job,
                     result.cells[0].outcome, Alone(result), row.reason});
  }
  printf("\n");
  PrintTable(lines);
  fputs(kCaption, stdout);
}

void List(const std::vector<AppRow>& rows) {
  for (const AppRow& row : rows) {
    printf("%-16s %s with %s: %s\n", row.name.c_str(), row.server.c_str(), row.client.c_str(),
           row.job.c_str());
  }
}

std::vector<AppRow> Choose(const std::vector<std::string>& names) {
  std::vector<AppRow> rows = AllAppRows();
  for (const std::string& name : names) {
    if (std::ranges::find(rows, name, &AppRow::name) == rows.end()) {
      throw std::runtime_error("there is no row \"" + name + "\": apps.sh --list has them");
    }
  }
  std::erase_if(rows, [&](const AppRow& row) {
    return !names.empty() && std::ranges::find(names, row.name) == names.end();
  });
  return rows;
}

int Main(const std::vector<std::string>& names, const std::string& only) {
  const std::vector<AppRow> rows = Choose(names);
  std::vector<Result> results;
  for (const AppRow& row : rows) results.push_back(Run(row, only));
  Print(results, only);
  const auto bad = std::ranges::count_if(results, [](const Result& r) { return !r.good(); });
  if (bad == 0) printf("  All %zu hold.\n", results.size());
  if (bad != 0) printf("  %td of %zu do NOT hold (marked with !).\n", bad, results.size());
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mptcptls::lab

int main(int argc, char** argv) {
  CLI::App app(
      "Real programs from Debian, unmodified, with the product preloaded: a table of what they do, "
      "and exit status 0 if every row holds.",
      "apps.sh");
  std::vector<std::string> names;
  std::string only;
  bool list = false;
  app.add_option("ROW", names, "these rows only; all when none is named");
  app.add_option("--preload", only, "these ends only, not each of them in turn")
      ->check(CLI::IsMember({"both", "client", "server"}));
  app.add_flag("--list", list, "says what rows there are, and runs nothing");
  CLI11_PARSE(app, argc, argv);
  try {
    if (list) {
      mptcptls::lab::List(mptcptls::lab::AllAppRows());
      return 0;
    }
    return mptcptls::lab::Main(names, only);
  } catch (const std::exception& error) {
    fprintf(stderr, "\napps: %s\n", error.what());
    return 1;
  }
}
