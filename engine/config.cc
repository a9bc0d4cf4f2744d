#include "engine/config.h"

#include <fnmatch.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/token_key.h"
#include "engine/variables.h"
#include "tun/route_intervals.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxFile = 1u << 20;
constexpr int64_t kMostSubflows = 32, kMostAddresses = 64;  // what an 8-bit address id bears well
constexpr uint32_t kMappedBits = 96;                        // of ::ffff:0:0/96
constexpr size_t kMaxName = 15;                             // of a process: TASK_COMM_LEN

std::string At(const std::string& path, const toml::source_region& where) {
  return absl::StrCat(path, ":", where.begin.line, ":", where.begin.column, ": ");
}

template <typename Number>
std::optional<Number> ToNumber(std::string_view text, Number most) {
  Number value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

// "443", ":443", "10.0.0.0/8", "10.0.0.1:443", "[2001:db8::]/32", "[2001:db8::1]:443", "fd00::/8".
std::optional<Match> ToMatch(std::string_view text) {
  Match match;
  const bool bare_port = text.size() > 1 && text[0] == ':' && text[1] != ':';
  if (const auto port = ToNumber<uint32_t>(text.substr(bare_port ? 1 : 0), 65535)) {
    match.port = static_cast<uint16_t>(*port);
    return *port == 0 ? std::nullopt : std::optional(match);
  }
  std::string_view address = text;
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    address = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':' && rest.front() != '/') return std::nullopt;
  } else if (std::ranges::count(text, ':') == 1) {
    address = text.substr(0, text.find(':'));
    rest = text.substr(text.find(':'));
  }
  if (!rest.empty() && rest.front() == ':') {
    const auto port = ToNumber<uint32_t>(rest.substr(1), 65535);
    if (!port || *port == 0) return std::nullopt;
    match.port = static_cast<uint16_t>(*port);
    rest = {};
  }
  std::string whole = absl::StrCat(std::string(address), std::string(rest));
  std::optional<uint32_t> bits;
  if (const size_t slash = whole.find('/'); slash != std::string::npos) {
    bits = ToNumber<uint32_t>(std::string_view(whole).substr(slash + 1), 128);
    if (!bits) return std::nullopt;
    whole.resize(slash);
  }
  match.network = IpAddress::Parse(whole);
  if (!match.network) return std::nullopt;
  const uint32_t most = match.network->family == Family::kV4 ? 32 : 128;
  if (bits.value_or(most) > most) return std::nullopt;
  match.prefix_length = static_cast<uint8_t>(bits.value_or(most));
  // Endpoints are never IPv4-mapped (stack/types.h): as it stands it would match nothing.
  const IpAddress plain = match.network->Unmapped();
  if (plain.family != match.network->family) {
    if (match.prefix_length < kMappedBits) return std::nullopt;
    match.network = plain;
    match.prefix_length = static_cast<uint8_t>(match.prefix_length - kMappedBits);
  }
  return match;
}

std::optional<AuthPolicy> ToAuth(std::string_view text) {
  if (text == "auto") return AuthPolicy::kAuto;
  if (text == "tls") return AuthPolicy::kTls;
  if (text == "keys") return AuthPolicy::kKeys;
  if (text == "tcp") return AuthPolicy::kTcp;
  return std::nullopt;
}

std::map<std::string, SchedulerKind> Schedulers() {
  std::map<std::string, SchedulerKind> all;
  for (const auto& [name, kind] : kSchedulerNames) all.emplace(name, kind);
  return all;
}

constexpr char kMatchHelp[] =
    "a port, an address, a network or address:port is meant here: \"443\", \"10.0.0.0/8\", "
    "\"192.0.2.1:443\", \"[2001:db8::1]:443\"";

constexpr char kRuleHelp[] =
    "[[rule]] with program, to or listen, and auth, scheduler or bypass, is meant here";

// One table of the file, key by key; the first error stays.
class Reader {
 public:
  Reader(std::string path, std::string* error) : path_(std::move(path)), error_(error) {}

  using Take = std::function<bool(const toml::node&)>;
  bool Table(const toml::table& table, const std::map<std::string, Take>& keys) {
    for (const auto& [key, node] : table) {
      const auto known = keys.find(std::string(key.str()));
      if (known == keys.end()) {
        std::string names;
        for (const auto& [name, take] : keys)
          absl::StrAppend(&names, names.empty() ? "" : ", ", name);
        return Fail(node, absl::StrCat("unknown key \"", std::string(key.str()),
                                       "\"; known here are: ", names));
      }
      if (!known->second(node)) return false;
    }
    return true;
  }

  bool Fail(const toml::node& node, const std::string& what) {
    *error_ = absl::StrCat(At(path_, node.source()), what);
    return false;
  }

  bool Number(const toml::node& node, int64_t least, int64_t most, int64_t* out) {
    const auto value = node.value<int64_t>();
    if (!node.is_integer() || *value < least || *value > most)
      return Fail(node,
                  absl::StrCat("a whole number from ", least, " to ", most, " is meant here"));
    *out = *value;
    return true;
  }

  bool Seconds(const toml::node& node, Duration* out) {
    int64_t seconds = 0;
    if (!Number(node, 1, 7 * 86400, &seconds)) return false;
    *out = std::chrono::seconds(seconds);
    return true;
  }

  // Each element of an array.
  bool Each(const toml::node& node, const Take& take) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return Fail(node, "a list [ ... ] is meant here");
    return std::ranges::all_of(*array, [&](const toml::node& item) { return take(item); });
  }

  bool Count(const toml::node& node, size_t* out) {
    int64_t count = 0;
    if (!Number(node, 1, 1'000'000, &count)) return false;
    *out = static_cast<size_t>(count);
    return true;
  }

  bool Text(const toml::node& node, std::string* out) {
    if (!node.is_string()) return Fail(node, "a text in quotes is meant here");
    *out = *node.value<std::string>();
    return true;
  }

  bool Flag(const toml::node& node, bool* out) {
    if (!node.is_boolean()) return Fail(node, "true or false is meant here");
    *out = *node.value<bool>();
    return true;
  }

  // One of a few words.
  template <typename Value>
  bool Choice(const toml::node& node, const std::map<std::string, Value>& words, Value* out) {
    std::string text;
    if (node.is_string()) text = *node.value<std::string>();
    const auto word = words.find(text);
    if (word == words.end()) {
      std::string names;
      for (const auto& [name, value] : words)
        absl::StrAppend(&names, names.empty() ? "\"" : "\", \"", name);
      return Fail(node, absl::StrCat("one of ", names, "\" is meant here"));
    }
    *out = word->second;
    return true;
  }

  bool ProgramName(const toml::node& node, std::string* out) {
    if (!Text(node, out)) return false;
    if (out->empty() || out->find('/') != std::string::npos)
      return Fail(node, "the name of a process is meant here, as /proc/PID/comm has it: \"curl\"");
    if (out->size() > kMaxName && out->find_first_of("*?[\\") == std::string::npos)
      return Fail(node, absl::StrCat("no process has this name, as the kernel keeps ", kMaxName,
                                     " characters of it: \"", out->substr(0, kMaxName),
                                     "\" is meant here"));
    return true;
  }

  bool OneMatch(const toml::node& node, Match* out) {
    std::string text;
    if (node.is_integer()) text = absl::StrCat(*node.value<int64_t>());
    const auto match = text.empty() && !Text(node, &text) ? std::nullopt : ToMatch(text);
    if (!match) return Fail(node, kMatchHelp);
    *out = *match;
    return true;
  }

  bool Matches(const toml::node& node, std::vector<Match>* out) {
    return Each(node, [&](const toml::node& item) {
      Match match;
      if (!OneMatch(item, &match)) return false;
      out->push_back(match);
      return true;
    });
  }

  bool Paths(const toml::node& node, PathPolicy* out) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Fail(node, "a table [paths] is meant here");
    const auto count = [&](int64_t least, int64_t most, size_t* to) {
      return [this, least, most, to](const toml::node& item) {
        int64_t value = 0;
        if (!Number(item, least, most, &value)) return false;
        *to = static_cast<size_t>(value);
        return true;
      };
    };
    return Table(*table,
                 {{"mesh",
                   [&](const auto& n) {
                     return Choice<bool>(n, {{"cover", false}, {"full", true}}, &out->full_mesh);
                   }},
                  {"max_subflows", count(1, kMostSubflows, &out->max_subflows)},
                  {"max_addresses", count(0, kMostAddresses, &out->max_addresses)},
                  {"announce", [&](const auto& n) { return Flag(n, &out->announce); }},
                  {"accept_joins", [&](const auto& n) { return Flag(n, &out->accept_joins); }},
                  {"hold", [&](const auto& n) { return Seconds(n, &out->hold); }}});
  }

  bool OneUplink(const toml::node& node, std::vector<UplinkRule>* out) {
    const toml::table* table = node.as_table();
    if (table == nullptr)
      return Fail(node, "[[uplink]] with name, and use or subflows, is meant here");
    UplinkRule rule;
    const auto use = [&](const toml::node& item) {
      std::optional<UplinkUse> chosen;
      if (!Choice<std::optional<UplinkUse>>(item,
                                            {{"normal", UplinkUse::kNormal},
                                             {"backup", UplinkUse::kBackup},
                                             {"metered", UplinkUse::kMetered},
                                             {"never", std::nullopt}},
                                            &chosen))
        return false;
      rule.never = !chosen;
      rule.use = chosen;
      return true;
    };
    const auto family = [&](const toml::node& item) {
      return Choice<Family>(item, {{"ipv4", Family::kV4}, {"ipv6", Family::kV6}},
                            &rule.family.emplace());
    };
    const auto subflows = [&](const toml::node& item) {
      int64_t value = 0;
      if (!Number(item, 1, kMostSubflows, &value)) return false;
      rule.subflows = static_cast<size_t>(value);
      return true;
    };
    if (!Table(*table, {{"name", [&](const auto& n) { return Text(n, &rule.name); }},
                        {"family", family},
                        {"use", use},
                        {"subflows", subflows}}))
      return false;
    if (rule.name.empty() || (!rule.never && !rule.use && !rule.subflows))
      return Fail(node,
                  "an uplink's rule needs the name of its interface (\"wwan*\" is one, too), and "
                  "use or subflows");
    out->push_back(rule);
    return true;
  }

  bool OneRule(const toml::node& node, std::vector<Rule>* out) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Fail(node, kRuleHelp);
    Rule rule;
    int matches = 0;
    const auto match = [&](RuleFor is_for) {
      return [&, is_for](const toml::node& item) {
        ++matches;
        rule.is_for = is_for;
        return OneMatch(item, &rule.match);
      };
    };
    const auto auth = [&](const toml::node& item) {
      std::string text;
      const auto value = Text(item, &text) ? ToAuth(text) : std::nullopt;
      if (!value) return Fail(item, "auth is \"auto\", \"tls\", \"keys\" or \"tcp\"");
      rule.auth = *value;
      return true;
    };
    const auto scheduler = [&](const toml::node& item) {
      return Choice(item, Schedulers(), &rule.scheduler.emplace());
    };
    if (!Table(*table,
               {{"program", [&](const auto& n) { return ProgramName(n, &rule.program); }},
                {"to", match(RuleFor::kDestinations)},
                {"listen", match(RuleFor::kListeners)},
                {"auth", auth},
                {"scheduler", scheduler},
                {"bypass", [&](const auto& n) { return Flag(n, &rule.bypass.emplace()); }}}))
      return false;
    if (matches > 1)
      return Fail(node, "a rule is for to or for listen: two rules are meant where both count");
    if ((matches == 0 && rule.program.empty()) || (!rule.auth && !rule.scheduler && !rule.bypass))
      return Fail(node, kRuleHelp);
    rule.line = node.source().begin.line;
    out->push_back(rule);
    return true;
  }

 private:
  std::string path_;
  std::string* error_;
};

}  // namespace

bool Match::Matches(const Endpoint& endpoint) const {
  if (port != 0 && port != endpoint.port) return false;
  return !network || PrefixContains(*network, prefix_length, endpoint.address);
}

std::string Match::ToString() const {
  if (!network) return absl::StrCat(port);
  const uint32_t most = network->family == Family::kV4 ? 32 : 128;
  std::string text = network->ToString();
  if (prefix_length != most) absl::StrAppend(&text, "/", static_cast<uint32_t>(prefix_length));
  if (port == 0) return text;
  return network->family == Family::kV4 ? absl::StrCat(text, ":", port)
                                        : absl::StrCat("[", text, "]:", port);
}

std::string Rule::ToString() const {
  std::vector<std::string> conditions, says;
  if (!program.empty()) conditions.push_back("program " + program);
  if (is_for != RuleFor::kBoth)
    conditions.push_back((is_for == RuleFor::kListeners ? "listen " : "to ") + match.ToString());
  if (auth) says.push_back(absl::StrCat("auth ", variables::kAuths[static_cast<size_t>(*auth)]));
  if (scheduler) says.push_back("scheduler " + std::string(SchedulerName(*scheduler)));
  if (bypass) says.push_back(*bypass ? "stays with the kernel" : "does not stay with the kernel");
  return absl::StrCat(absl::StrJoin(conditions, ", "), ": ", absl::StrJoin(says, ", "));
}

bool Rule::IsForProgram(std::string_view name) const {
  return program.empty() || fnmatch(program.c_str(), std::string(name).c_str(), 0) == 0;
}

bool Rule::Matches(const Endpoint& endpoint, bool listen, std::string_view of) const {
  return is_for != (listen ? RuleFor::kDestinations : RuleFor::kListeners) &&
         match.Matches(endpoint) && IsForProgram(of);
}

bool Config::IsClearPort(uint16_t port) const {
  return std::ranges::find(clear_ports, port) != clear_ports.end();
}

bool Config::ListenAllowed(const Endpoint& endpoint) const {
  return std::ranges::any_of(listen_allow, [&](const Match& m) { return m.Matches(endpoint); });
}

std::string Config::BypassReason(const Endpoint& endpoint, bool listen,
                                 std::string_view program) const {
  if (std::ranges::any_of(bypass, [&](const Match& m) { return m.Matches(endpoint); }))
    return "bypassed by the configuration";
  for (const Rule& rule : rules) {
    if (!rule.bypass || !rule.Matches(endpoint, listen, program)) continue;
    return *rule.bypass ? absl::StrCat("bypassed by the rule in line ", rule.line, " of ", file)
                        : "";
  }
  return "";
}

std::optional<AuthPolicy> Config::AuthFor(const Endpoint& endpoint, bool listen,
                                          std::string_view program) const {
  for (const Rule& rule : rules) {
    if (rule.auth && rule.Matches(endpoint, listen, program)) return rule.auth;
  }
  return std::nullopt;
}

std::optional<SchedulerKind> Config::SchedulerFor(const Endpoint& endpoint, bool listen,
                                                  std::string_view program) const {
  for (const Rule& rule : rules) {
    if (rule.scheduler && rule.Matches(endpoint, listen, program)) return rule.scheduler;
  }
  return std::nullopt;
}

std::optional<Config> ParseConfig(const std::string& text, const std::string& path,
                                  std::string* error) {
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& failure) {
    *error = absl::StrCat(At(path, failure.source()), std::string(failure.description()));
    return std::nullopt;
  }
  Config config;
  config.file = path;
  Reader reader(path, error);
  const auto ports = [&](const toml::node& node) {
    config.clear_ports.clear();
    return reader.Each(node, [&](const toml::node& item) {
      int64_t port = 0;
      if (!reader.Number(item, 1, 65535, &port)) return false;
      config.clear_ports.push_back(static_cast<uint16_t>(port));
      return true;
    });
  };
  const auto interfaces = [&](const toml::node& node) {
    return reader.Each(node, [&](const toml::node& item) {
      return reader.Text(item, &config.interfaces.emplace_back());
    });
  };
  const auto bits = [&](const toml::node& node) {
    int64_t value = 0;
    if (!reader.Number(node, 1, 16, &value)) return false;
    config.token_server_id_bits = static_cast<size_t>(value);
    return true;
  };
  const auto server_id = [&](const toml::node& node) {
    int64_t value = 0;
    // Whatever the order of the keys: what does not fit would be another server's number.
    const auto size = table["token_server_id_bits"].value_or(int64_t{0});
    const int64_t most = size > 0 && size <= 16 ? (int64_t{1} << size) - 1 : 65535;
    if (!reader.Number(node, 0, most, &value)) return false;
    config.token_server_id = static_cast<uint16_t>(value);
    return true;
  };
  const auto key_file = [&](const toml::node& node) {
    if (!table.contains("token_server_id_bits")) {
      return reader.Fail(node, "without token_server_id_bits there is nothing to hide in a token");
    }
    std::string file;
    if (!reader.Text(node, &file)) return false;
    const auto key = ReadTokenKey(file);
    if (!key.ok()) return reader.Fail(node, std::string(key.status().message()));
    config.token_key = *key;
    return true;
  };
  // A window field that is scaled by RFC 7323's 14 can tell of no more.
  constexpr int64_t kLeastBuffer = 65536;
  constexpr int64_t kMostBuffer = int64_t{65535} << 14;
  const auto buffer = [&](size_t* out) {
    return [&reader, out](const toml::node& node) {
      int64_t value = 0;
      if (!reader.Number(node, kLeastBuffer, kMostBuffer, &value)) return false;
      *out = static_cast<size_t>(value);
      return true;
    };
  };
  const auto rules = [&](const toml::node& node) {
    return reader.Each(node,
                       [&](const toml::node& item) { return reader.OneRule(item, &config.rules); });
  };
  const bool good = reader.Table(
      table,
      {{"idle_timeout", [&](const auto& n) { return reader.Seconds(n, &config.idle_timeout); }},
       {"cache_lifetime", [&](const auto& n) { return reader.Seconds(n, &config.cache_lifetime); }},
       {"clear_ports", ports},
       {"interfaces", interfaces},
       {"listen_allow", [&](const auto& n) { return reader.Matches(n, &config.listen_allow); }},
       {"bypass", [&](const auto& n) { return reader.Matches(n, &config.bypass); }},
       {"congestion",
        [&](const auto& n) {
          return reader.Choice<CongestionAlgorithm>(n,
                                                    {{"cubic", CongestionAlgorithm::kCubic},
                                                     {"newreno", CongestionAlgorithm::kNewReno},
                                                     {"lia", CongestionAlgorithm::kLia},
                                                     {"olia", CongestionAlgorithm::kOlia},
                                                     {"balia", CongestionAlgorithm::kBalia}},
                                                    &config.tcp.congestion);
        }},
       {"scheduler",
        [&](const auto& n) { return reader.Choice(n, Schedulers(), &config.scheduler); }},
       {"pacing", [&](const auto& n) { return reader.Flag(n, &config.tcp.pacing); }},
       {"ecn",
        [&](const auto& n) {
          return reader.Choice<EcnMode>(
              n, {{"off", EcnMode::kOff}, {"answer", EcnMode::kAnswer}, {"ask", EcnMode::kAsk}},
              &config.tcp.ecn);
        }},
       {"send_buffer", buffer(&config.send_buffer)},
       {"receive_buffer", buffer(&config.receive_buffer)},
       {"token_server_id_bits", bits},
       {"token_server_id", server_id},
       {"token_key_file", key_file},
       {"syn_queue", [&](const auto& n) { return reader.Count(n, &config.syn_queue); }},
       {"max_orphans", [&](const auto& n) { return reader.Count(n, &config.max_orphans); }},
       {"max_time_waits", [&](const auto& n) { return reader.Count(n, &config.max_time_waits); }},
       {"paths", [&](const auto& n) { return reader.Paths(n, &config.paths); }},
       {"uplink",
        [&](const auto& n) {
          return reader.Each(
              n, [&](const auto& item) { return reader.OneUplink(item, &config.uplinks); });
        }},
       {"rule", rules}});
  if (!good) return std::nullopt;
  return config;
}

std::optional<Config> LoadConfig(const std::string& path, bool asked_for, std::string* error) {
  std::ifstream file(path);
  if (!file) {
    if (!asked_for && errno == ENOENT) return Config();
    *error = absl::StrCat("cannot read ", path, ": ", std::strerror(errno),
                          path.starts_with('/') ? ""
                                                : " (an engine that a program starts has \"/\" "
                                                  "as its folder: give an absolute path)",
                          "; correct its name or its rights, or leave --config and "
                          "MPTCPTLS_CONFIG out");
    return std::nullopt;
  }
  std::string text(kMaxFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || text.size() > kMaxFile) {
    *error = absl::StrCat(path, " cannot be read, or is larger than a megabyte");
    return std::nullopt;
  }
  return ParseConfig(text, path, error);
}

}  // namespace mptcptls
