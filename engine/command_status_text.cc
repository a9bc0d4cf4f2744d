#include "engine/command_status_text.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

using nlohmann::json;

// Typed access; what is missing or of another type ends in a json::exception, caught in
// StatusText().
std::string Text(const json& value, const char* key) {
  return Printable(value.at(key).get_ref<const std::string&>());
}
const json::array_t& List(const json& value, const char* key) {
  return value.at(key).get_ref<const json::array_t&>();
}
bool Flag(const json& value, const char* key) { return value.at(key).get<bool>(); }
double Number(const json& value, const char* key) { return value.at(key).get<double>(); }

uint64_t Count(const json& number) {
  if (number.is_number_unsigned()) return number.get<uint64_t>();
  // What is negative, a fraction or beyond 64 bits is the engine's mistake, and no reason to fail.
  const double rounded = number.get<double>();
  return rounded > 0 ? static_cast<uint64_t>(std::min(rounded, 9e18)) : 0;
}
uint64_t Count(const json& value, const char* key) { return Count(value.at(key)); }

std::string Bytes(const json& value, const char* key) { return HumanBytes(Count(value, key)); }

std::string Program(const json& value) {
  return absl::StrCat(Text(value, "program"), "[", Count(value, "pid"), "]");
}

class Report {
 public:
  explicit Report(const StatusTextOptions& options) : options_(options) {}

  std::string Build(const json& status) {
    Engine(status.at("engine"));
    Uplinks(List(status, "uplinks"));
    Listeners(List(status, "listeners"));
    const json::array_t& connections = List(status, "connections");
    Title("connections", connections.size());
    for (const json& connection : connections) Connection(connection);
    Closed(List(status, "closed"));
    if (options_.all) {
      Cache(List(status, "cache"));
      Counters(status.at("counters"));
    }
    return std::move(out_);
  }
  std::string BuildCache(const json& status) {
    Cache(List(status, "cache"));
    return std::move(out_);
  }

 private:
  void Line(absl::string_view text, size_t indent) { out_ += Wrap(text, indent, options_.columns); }
  void Add(const Table& table, size_t indent) { out_ += table.Format(indent, options_.columns); }
  void Title(absl::string_view name, size_t entries) {
    Line(absl::StrCat(name, entries == 0 ? ": none" : ""), 0);
  }

  void Engine(const json& engine);
  void Uplinks(const json::array_t& uplinks);
  void Listeners(const json::array_t& listeners);
  void Connection(const json& connection);
  void Subflows(const json::array_t& subflows);
  void Closed(const json::array_t& closed);
  void Cache(const json::array_t& cache);
  void Counters(const json& counters);

  StatusTextOptions options_;
  std::string out_;
};

void Report::Engine(const json& engine) {
  Line(absl::StrCat("engine: pid ", Count(engine, "pid"), ", version ", Text(engine, "version"),
                    ", up ", HumanSeconds(Number(engine, "uptime_s")), ", ends after ",
                    HumanSeconds(Number(engine, "idle_timeout_s")), " without use"),
       0);
  const std::string config = Text(engine, "config");
  if (!config.empty()) Line(absl::StrCat("configuration: ", config), 0);
  const json::array_t& installed = List(engine, "installed");
  Title("installed on this host", installed.size());
  for (const json& item : installed) Line(Printable(item.get_ref<const std::string&>()), 2);
}

void Report::Uplinks(const json::array_t& uplinks) {
  Title("uplinks", uplinks.size());
  Table table({{"INTERFACE"}, {"ADDRESS"}, {"MTU", true}, {"STATE"}, {"USE"}});
  for (const json& uplink : uplinks)
    table.Add({Text(uplink, "interface"), Text(uplink, "address"),
               absl::StrCat(Count(uplink, "mtu")), Flag(uplink, "running") ? "up" : "down",
               Text(uplink, "use")});
  Add(table, 2);
}

void Report::Listeners(const json::array_t& listeners) {
  Title("listeners", listeners.size());
  Table table({{"ADDRESS"},
               {"PROGRAM"},
               {"UID", true},
               {"AUTH"},
               {"ACCEPTED", true},
               {"WAITING", true},
               {"CAPTURED"}});
  for (const json& listener : listeners)
    table.Add(
        {Text(listener, "address"), Program(listener), absl::StrCat(Count(listener, "uid")),
         Text(listener, "auth"), absl::StrCat(Count(listener, "accepted")),
         absl::StrCat(Count(listener, "waiting")),
         Flag(listener, "captured") ? "yes" : absl::StrCat("no: ", Text(listener, "reason"))});
  Add(table, 2);
}

std::string Ends(const json& connection) {
  return absl::StrCat(Program(connection), " ", Text(connection, "local"),
                      Text(connection, "role") == "responder" ? " <- " : " -> ",
                      Text(connection, "remote"));
}

std::string Traffic(const json& connection) {
  std::string text = absl::StrCat("sent ", Bytes(connection, "bytes_sent"), ", received ",
                                  Bytes(connection, "bytes_received"));
  if (Count(connection, "bytes_reinjected") > 0)
    absl::StrAppend(&text, ", reinjected ", Bytes(connection, "bytes_reinjected"));
  return text;
}

std::string Protocol(const json& connection) {
  const std::string key = Text(connection, "key"), peer_key = Text(connection, "peer_key");
  const std::string scheduler = Text(connection, "scheduler");
  const uint64_t replaced = Count(connection, "keys_replaced");
  return absl::StrCat(Text(connection, "mode"), Flag(connection, "fallback") ? " (fell back)" : "",
                      key == "none" ? ", no key" : absl::StrCat(", key ", key),
                      replaced > 0 ? absl::StrCat(", replaced ", replaced, " times") : "",
                      peer_key == "confirmed" || peer_key == "differs"
                          ? absl::StrCat(", the peer's ", peer_key)
                          : "",
                      scheduler.empty() ? "" : absl::StrCat(", scheduler ", scheduler));
}

void Report::Connection(const json& connection) {
  Line(Ends(connection), 2);
  const std::string end = Text(connection, "end");
  Line(absl::StrCat(Text(connection, "state"), end.empty() ? "" : absl::StrCat(" (", end, ")"),
                    ", ", Protocol(connection), ", ", Traffic(connection), ", age ",
                    HumanSeconds(Number(connection, "age_s")), ", uid ", Count(connection, "uid"),
                    ", id ", Text(connection, "id")),
       4);
  Subflows(List(connection, "subflows"));
  for (const json& path : List(connection, "unused_paths"))
    Line(absl::StrCat("not used: ", Text(path, "local"), " to ", Text(path, "remote"), ": ",
                      Text(path, "reason")),
         4);
}

// Of what both directions carried; in floating point, as hostile counters must not overflow.
double Carried(const json& subflow) {
  return static_cast<double>(Count(subflow, "bytes_sent")) +
         static_cast<double>(Count(subflow, "bytes_received"));
}

std::string Admission(const json& subflow) {
  const std::string by = Text(subflow, "authenticated_by");
  return absl::StrCat(Text(subflow, "joined_by"), by == "none" ? "" : ", ", by == "none" ? "" : by);
}

void Report::Subflows(const json::array_t& subflows) {
  double total = 0;
  for (const json& subflow : subflows) total += Carried(subflow);
  Table table({{"UPLINK"},
               {"LOCAL"},
               {"REMOTE"},
               {"SENT", true},
               {"RECEIVED", true},
               {"SHARE", true},
               {"RTT", true},
               {"ADMITTED BY"},
               {"STATE"}});
  for (const json& subflow : subflows) {
    const uint64_t rtt = Count(subflow, "srtt_us");
    table.Add(
        {Text(subflow, "uplink"), Text(subflow, "local"), Text(subflow, "remote"),
         Bytes(subflow, "bytes_sent"), Bytes(subflow, "bytes_received"),
         total > 0 ? absl::StrFormat("%.0f%%", 100 * Carried(subflow) / total) : "-",
         rtt > 0 ? HumanMicroseconds(rtt) : "-", Admission(subflow),
         absl::StrCat(Text(subflow, "state"), Flag(subflow, "backup") ? ", backup" : "",
                      Flag(subflow, "stale") ? ", stale" : "",
                      Count(subflow, "retransmitted_bytes") > 0
                          ? absl::StrCat(", ", Bytes(subflow, "retransmitted_bytes"), " resent")
                          : "")});
  }
  Add(table, 4);
}

void Report::Closed(const json::array_t& closed) {
  const size_t shown = options_.all ? closed.size() : std::min(closed.size(), kClosedShown);
  if (shown < closed.size())
    Line(absl::StrCat("closed, the last ", shown, " of ", closed.size(), " (--all shows all)"), 0);
  else
    Title("closed", closed.size());
  for (size_t i = closed.size() - shown; i < closed.size(); ++i) {
    const json& connection = closed[i];
    const size_t subflows = List(connection, "subflows").size();
    Line(absl::StrCat(Ends(connection), ", ", Text(connection, "end"), ", ", Protocol(connection),
                      ", ", subflows, subflows == 1 ? " subflow, " : " subflows, ",
                      Traffic(connection)),
         2);
  }
}

void Report::Cache(const json::array_t& cache) {
  Title("what peers are known to speak", cache.size());
  Table table({{"LOCAL"}, {"REMOTE"}, {"CAPABILITY"}, {"FORGOTTEN IN", true}});
  for (const json& entry : cache)
    table.Add({Text(entry, "local"), Text(entry, "remote"),
               Text(entry, "capability") + (Flag(entry, "confirms_keys") ? ", confirms keys" : ""),
               HumanSeconds(Number(entry, "expires_s"))});
  Add(table, 2);
}

void Report::Counters(const json& counters) {
  const auto& all = counters.get_ref<const json::object_t&>();
  Title("counters", all.size());
  Table table({{"NAME"}, {"VALUE", true}});
  for (const auto& [name, value] : all) table.Add({Printable(name), absl::StrCat(Count(value))});
  Add(table, 2);
}

// What `build` makes of the engine's answer.
template <typename Build>
absl::StatusOr<std::string> Read(absl::string_view text, Build build) {
  try {
    return build(json::parse(text.begin(), text.end()));
  } catch (const json::exception& error) {
    return absl::DataLossError(
        absl::StrCat("the engine's status cannot be read (", Printable(error.what()),
                     "): is the engine of another version? `mptcptls status --json` shows it"));
  }
}

}  // namespace

absl::StatusOr<std::string> StatusText(absl::string_view text, const StatusTextOptions& options) {
  return Read(text, [&](const json& status) { return Report(options).Build(status); });
}

absl::StatusOr<std::string> CacheText(absl::string_view text, size_t columns) {
  return Read(text, [columns](const json& status) {
    return Report({.columns = columns}).BuildCache(status);
  });
}

}  // namespace mptcptls::command
