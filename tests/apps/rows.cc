#include "tests/apps/rows.h"

#include <unistd.h>

#include <stdexcept>

namespace mptcptls::lab {
namespace {

bool IsThere(const std::string& program) {
  if (program.starts_with("/")) return access(program.c_str(), F_OK) == 0;
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    if (access((folder + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

std::vector<AppRow> AllAppRows() {
  std::vector<AppRow> rows;
  for (const auto& topic : {WebServerRows, WebClientRows, ScriptRows, DatabaseRows, TunnelRows,
                            StarttlsRows, OtherRows}) {
    const std::vector<AppRow> more = topic();
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

std::string MissingPrograms(const AppRow& row) {
  std::string missing;
  for (const std::string& program : row.needs) {
    if (!IsThere(program)) missing += (missing.empty() ? "" : " ") + program;
  }
  return missing;
}

std::string RunRow(const AppRow& row, Preloaded preloaded) {
  const std::string missing = MissingPrograms(row);
  if (!missing.empty()) {
    throw std::runtime_error("there is no " + missing + ": run scripts/install-deps.sh --apps");
  }
  const std::string mode = preloaded == Preloaded::kBoth ? row.mode : "tcp";
  App app(preloaded);
  row.run(app);
  app.Conclude(mode, mode == "tcp" ? 1 : row.paths);
  return mode + ", " + app.Summary();
}

}  // namespace mptcptls::lab
