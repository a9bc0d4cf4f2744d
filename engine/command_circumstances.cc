#include "engine/command_circumstances.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/command_status.h"
#include "engine/command_text.h"
#include "engine/config.h"
#include "engine/variables.h"

namespace mptcptls::command {
namespace {

constexpr size_t kMostRules = 8;  // shown

class Examination {
 public:
  explicit Examination(const CircumstancesOf& of) : of_(of) {}

  Circumstances Run() {
    ReadVariables();
    AskEngine();
    ReadConfiguration();
    SayWhatStays();
    SayRules();
    SayEngine();
    for (const std::string& wrong : wrong_) Say("wrong", wrong);
    return std::move(found_);
  }

 private:
  void Say(const std::string& label, const std::string& text) {
    found_.lines.emplace_back(label, text);
  }

  std::optional<std::string> Variable(const std::string& name) const {
    for (const std::string& variable : of_.variables)
      if (absl::StartsWith(variable, name + "=")) return variable.substr(name.size() + 1);
    return std::nullopt;
  }

  void ReadVariables() {
    for (const std::string& variable : of_.variables) {
      std::array<char, 1024> text;
      variables::Line why(text.data(), text.size());
      variables::Explain(variable.c_str(), &why);
      if (!why.empty()) wrong_.push_back(Printable(text.data()));
    }
    const auto log = Variable("MPTCPTLS_LOG");
    if (!log || log->empty() || *log == "stderr") return;
    if (access(log->c_str(), W_OK) == 0) return;
    const std::string folder = log->substr(0, log->rfind('/') + 1);
    if (errno == ENOENT && access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0) return;
    wrong_.push_back(
        absl::StrCat("MPTCPTLS_LOG=", Printable(*log), " cannot be written: ", strerror(errno)));
  }

  void AskEngine() {
    const auto status = FetchStatus();
    if (!status.ok()) {
      engine_error_ = status.status();
      return;
    }
    const auto json = nlohmann::json::parse(*status, nullptr, false);
    const auto engine = json.is_object() ? json.value("engine", nlohmann::json()) : json;
    if (!engine.is_object()) {
      engine_error_ = absl::DataLossError("the engine says nothing that can be understood");
      return;
    }
    pid_ = engine.value("pid", 0);
    version_ = engine.value("version", "");
    file_ = engine.value("config", "");
  }

  // The engine's, where one runs; else the one that it would read.
  void ReadConfiguration() {
    const auto given = Variable("MPTCPTLS_CONFIG");
    const bool asked_for = given && !given->empty();
    if (engine_error_.ok() && asked_for && *given != file_)
      wrong_.push_back(absl::StrCat("MPTCPTLS_CONFIG=", Printable(*given),
                                    " is for the engine that a program starts: the one that runs "
                                    "has ",
                                    file_.empty() ? "none" : Printable(file_)));
    if (!engine_error_.ok()) file_ = asked_for ? *given : kDefaultConfigFile;
    if (file_.empty()) return;
    std::string error;
    if (!absl::StartsWith(file_, "/"))
      error = absl::StrCat("MPTCPTLS_CONFIG=", file_, " is no absolute path");
    else if (auto config = LoadConfig(file_, asked_for || engine_error_.ok(), &error))
      config_ = *std::move(config);
    if (error.empty()) return;
    wrong_.push_back(Printable(error));
    // The one that runs has read it before.
    if (!engine_error_.ok()) found_.capture = false;
  }

  void SayWhatStays() {
    std::vector<std::string> stays;
    if (Variable("MPTCPTLS_CAPTURE") == "all")
      stays.emplace_back("link-local addresses");
    else
      stays.emplace_back("loopback, link-local and this host's own addresses");
    const std::string list = Variable("MPTCPTLS_BYPASS").value_or("");
    const char* rest = list.c_str();
    const char* text;
    size_t length;
    for (variables::BypassEntry entry; variables::NextEntry(&rest, &text, &length);)
      if (variables::ReadBypassEntry(text, length, &entry)) stays.emplace_back(text, length);
    for (const Match& match : config_.bypass)
      stays.push_back(match.network ? match.ToString() : ":" + match.ToString());
    Say("kernel's", absl::StrJoin(stays, ", "));
  }

  void SayRules() {
    size_t count = 0;
    for (const Rule& rule : config_.rules) {
      if (!rule.IsForProgram(of_.process) || ++count > kMostRules) continue;
      Say(count == 1 ? "rules" : "",
          absl::StrCat(Printable(config_.file), ":", rule.line, ": ", Printable(rule.ToString())));
    }
    if (count > kMostRules) Say("", absl::StrCat("and ", count - kMostRules, " more"));
  }

  void SayEngine() {
    if (engine_error_.ok())
      return Say("engine",
                 absl::StrCat("runs (pid ", pid_, ", version ", Printable(version_), ")"));
    std::string problem;
    if (!absl::IsNotFound(engine_error_))
      problem = std::string(engine_error_.message());
    else if (!found_.capture)
      problem = "none runs, and none will start: the configuration is wrong";
    else if (of_.uid != 0)
      problem = "none runs, and only root can start one";
    else if (access(of_.engine.c_str(), X_OK) != 0)
      problem = absl::StrCat("none runs, and there is none to start (", Printable(of_.engine), ": ",
                             strerror(errno), "): set MPTCPTLS_ENGINE to mptcptlsd's path");
    if (problem.empty()) return Say("engine", "none runs: the program will start one");
    found_.capture = false;
    Say("engine", problem);
  }

  const CircumstancesOf& of_;
  Circumstances found_;
  std::vector<std::string> wrong_;
  absl::Status engine_error_;
  int pid_ = 0;
  std::string version_;
  std::string file_;  // the configuration's
  Config config_;
};

}  // namespace

Circumstances Examine(const CircumstancesOf& of) { return Examination(of).Run(); }

}  // namespace mptcptls::command
