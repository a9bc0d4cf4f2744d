#include "tests/apps/app.h"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

using nlohmann::json;

constexpr int kMbit = 100;
// A connection that carried less may be over before its second path is there.
constexpr uint64_t kGoodDeal = 512 << 10;
// Of the largest connection's bytes, on each of its paths.
constexpr double kLeastShare = 0.05;
constexpr std::chrono::seconds kRunPatience{120};
constexpr size_t kTail = 1500;

uint64_t BytesOf(const SubflowStatus& subflow) {
  return subflow.bytes_sent + subflow.bytes_received;
}

uint64_t BytesOf(const ConnectionStatus& connection) {
  uint64_t sum = 0;
  for (const SubflowStatus& subflow : connection.subflows) sum += BytesOf(subflow);
  return sum;
}

// From a program to another one on the same host, past all links.
bool IsOnHost(const ConnectionStatus& connection) { return connection.remote.starts_with("127."); }

std::string Tail(const std::string& text) {
  return text.size() <= kTail ? text : "..." + text.substr(text.size() - kTail);
}

std::string Count(size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

// Paths that carried their part of the connection.
size_t PathsOf(const ConnectionStatus& connection) {
  const auto least = kLeastShare * static_cast<double>(BytesOf(connection));
  return static_cast<size_t>(std::ranges::count_if(
      connection.subflows,
      [&](const SubflowStatus& s) { return static_cast<double>(BytesOf(s)) >= least; }));
}

}  // namespace

App::App(Preloaded preloaded) : preloaded_(preloaded), lab_(LabOptions{}) {
  for (int link = 1; link <= lab_.links(); ++link) lab_.Shape(link, kMbit);
  MakeCertificate();
}

bool App::IsPreloaded(const Host& host) const {
  return preloaded_ == Preloaded::kBoth ||
         (preloaded_ == Preloaded::kClient) == (&host == &lab_.client());
}

std::string App::Script(const std::string& name) {
  return std::string(APPS_DIRECTORY) + "/programs/" + name;
}

void App::MakeCertificate() {
  std::string names = "DNS:server.test,DNS:localhost,IP:127.0.0.1";
  for (int link = 1; link <= lab_.links(); ++link) {
    for (const Host* host : {&client(), &server()}) {
      names += ",IP:" + lab_.Address(*host, link, Family::kV4);
    }
  }
  server().Run(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
      "-subj /CN=server.test -addext 'subjectAltName=" +
      names + "' -keyout " + Key() + " -out " + Certificate() + " 2>&1; chmod 644 " + Key() +
      "; cat " + Key() + " " + Certificate() + " >" + KeyAndCertificate());
}

std::string App::MakeFile(const std::string& name, size_t size) {
  std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
  return WriteRandomFile(Path(name), size);
}

std::string App::MakeFolder(const std::string& name, const std::string& user) {
  const std::string path = Path(name);
  std::filesystem::create_directories(path);
  const passwd* owner = getpwnam(user.c_str());
  if (owner == nullptr) throw std::runtime_error("there is no user " + user);
  if (chown(path.c_str(), owner->pw_uid, owner->pw_gid) != 0) {
    throw std::runtime_error("cannot chown " + path);
  }
  return path;
}

std::vector<std::string> App::Environment(const Host& host, const ProgramOptions& options) const {
  std::vector<std::string> env = options.env;
  if (!IsPreloaded(host) || options.never_preloaded) return env;
  for (const std::string& variable : Product::Environment()) env.push_back(variable);
  return env;
}

Child& App::Start(const Host& host, const std::vector<std::string>& argv,
                  const ProgramOptions& options) {
  // A session of its own, as a daemon has: some signal their whole process group.
  Command command{
      .argv = {"setsid"}, .env = Environment(host, options), .stdin_file = options.stdin_file};
  if (!options.user.empty()) {
    command.argv.insert(command.argv.end(), {"setpriv", "--reuid=" + options.user,
                                             "--regid=" + options.user, "--init-groups"});
  }
  command.argv.insert(command.argv.end(), argv.begin(), argv.end());
  programs_.push_back({argv[0], host.Start(command)});
  return *programs_.back().child;
}

Child& App::Serve(const Host& host, int port, const std::vector<std::string>& argv,
                  const ProgramOptions& options) {
  Child& child = Start(host, argv, options);
  const std::string query = "ss -Hltn 'sport = :" + std::to_string(port) + "'";
  RequireEventually([&] { return !host.Run(query).empty() || !child.Running(); },
                    argv[0] + " does not listen");
  Require(child.Running(), argv[0] + " does not serve");
  return child;
}

void App::StartEngine(const Host& host, const std::string& configuration) {
  if (!IsPreloaded(host)) return;
  const std::string file = Path("engine.toml");
  WriteFile(file, configuration);
  Start(host, {Product::Engine(), "--config", file}, {.never_preloaded = true});
  programs_.back().engine = true;
  RequireEventually(
      [&] {
        return host.Start({.argv = {Product::Command(), "status", "--json"}})->Wait() == 0;
      },
      "the engine does not start");
}

std::string App::Run(const std::vector<std::string>& argv, const ProgramOptions& options) {
  Child& child = Start(client(), argv, options);
  const std::optional<int> status = child.Wait(kRunPatience);
  Require(status.has_value(), argv[0] + " hangs");
  Require(status == 0, argv[0] + " ends with " + std::to_string(*status));
  NoteConnections();
  return child.out();
}

void App::Require(bool condition, const std::string& what) const {
  if (!condition) throw std::runtime_error(what + Diagnosis());
}

void App::RequireEventually(const std::function<bool()>& condition, const std::string& what) const {
  Require(Eventually(condition), what);
}

void App::RequireFile(const std::string& path, const std::string& sum) const {
  const std::string found = FileSha256(path);
  const std::string name = std::filesystem::path(path).filename();
  Require(!found.empty(), name + " did not arrive");
  Require(found == sum,
          name + " differs (" + std::to_string(std::filesystem::file_size(path)) + " bytes)");
}

void App::NoteConnections() {
  for (const Host* host : {&client(), &server()}) {
    const auto status = Product::Status(*host);
    if (!status) continue;
    for (const ConnectionStatus& connection : status->connections) {
      if (BytesOf(connection) < kGoodDeal || IsOnHost(connection)) continue;
      seen_[host].insert_or_assign(connection.local + " " + connection.remote, connection);
    }
  }
}

void App::Conclude(const std::string& mode, size_t paths) {
  NoteConnections();
  for (const Host* host : {&server(), &client()}) {
    if (!IsPreloaded(*host)) continue;
    CheckConnections(*host, mode, paths);
    CheckCounters(*host);
  }
  StopPrograms();
  for (const Host* host : {&client(), &server()}) {
    RequireEventually(
        [&] {
          const auto status = Product::Status(*host);
          return !status || std::ranges::all_of(status->connections, &ConnectionStatus::closed);
        },
        "a connection is left at the " + std::string(host == &client() ? "client" : "server"));
  }
}

void App::CheckConnections(const Host& host, const std::string& mode, size_t wanted_paths) {
  const std::string where = &host == &client() ? " at the client" : " at the server";
  Require(Product::EnginePid(host) != 0, "no engine" + where);
  std::vector<ConnectionStatus> large;
  for (const auto& [ends, connection] : seen_[&host]) large.push_back(connection);
  Require(!large.empty(), "no connection carried the data" + where);
  for (const ConnectionStatus& connection : large) {
    Require(connection.mode == mode, "the mode is " + connection.mode + where);
    for (const SubflowStatus& subflow : connection.subflows) {
      if (subflow.joined_by != "mp_join") continue;
      const std::string wanted = mode == "tls-auth" ? "tls key" : "clear key";
      Require(subflow.authenticated_by == wanted || subflow.state != "ESTAB",
              "a join was authenticated by " + subflow.authenticated_by + where);
    }
  }
  const ConnectionStatus& largest =
      *std::ranges::max_element(large, {}, [](const ConnectionStatus& c) { return BytesOf(c); });
  const size_t paths = PathsOf(largest);
  Require(paths == wanted_paths, Count(paths, "path") + " carried" + where);
  summary_ = Count(paths, "path");
  if (large.size() > 1) summary_ += ", " + Count(large.size(), "connection");
}

void App::CheckCounters(const Host& host) const {
  const json counters = json::parse(Product::Status(host)->json).at("counters");
  // Not joins_refused_token: a join may cross the end of its connection.
  for (const char* name :
       {"bugs", "mapping_errors", "checksum_errors", "options_malformed", "tun_write_errors",
        "joins_refused_hmac", "add_addr_refused", "fastclose_refused"}) {
    Require(counters.at(name) == 0, std::string("the engine counted ") + name);
  }
}

void App::StopPrograms() {
  for (auto program = programs_.rbegin(); program != programs_.rend(); ++program) {
    if (program->engine) continue;
    program->child->Signal(SIGTERM);
    Require(program->child->Wait().has_value(), program->name + " does not end when told to");
  }
}

std::string App::Diagnosis() const {
  std::string text;
  for (const Program& program : programs_) {
    text += "\n  " + program.name + ": " + Tail(program.child->out()) + Tail(program.child->err());
  }
  for (const Host* host : {&client(), &server()}) {
    const auto status = Product::Status(*host);
    if (!status) continue;
    const json all = json::parse(status->json);
    text += "\n  engine of the " + std::string(host == &client() ? "client" : "server") + ":";
    for (const char* key : {"listeners", "connections", "closed"}) {
      text += "\n    " + std::string(key) + ": " + all.at(key).dump().substr(0, 3000);
    }
    text += "\n   ";
    for (const auto& [name, value] : all.at("counters").items()) {
      if (value != 0) text += " " + name + "=" + value.dump();
    }
  }
  return text;
}

}  // namespace mptcptls::lab
