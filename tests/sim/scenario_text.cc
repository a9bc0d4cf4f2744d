#include "tests/sim/scenario_text.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/sim/scenario_network.h"

namespace mptcptls::sim {
namespace {

constexpr size_t kMostPaths = 8, kMostExchanges = 1000;

struct NamedCounter {
  std::string_view name;
  uint64_t Counters::*counter;
};
constexpr NamedCounter kCounters[] = {
#define MPTCPTLS_NAMED_COUNTER(name, description) {#name, &Counters::name},
    MPTCPTLS_COUNTERS(MPTCPTLS_NAMED_COUNTER)
#undef MPTCPTLS_NAMED_COUNTER
};

uint64_t Counters::*FindCounter(const std::string& name) {
  std::string known;
  for (const NamedCounter& c : kCounters) {
    if (c.name == name) return c.counter;
    known += (known.empty() ? "" : ", ") + std::string(c.name);
  }
  throw Complaint{"'" + name + "' is no counter", "one of: " + known};
}

enum class Bound : uint8_t { kAtLeast, kAtMost, kExactly };

struct CounterBound {
  std::string name;
  uint64_t Counters::*counter;
  Bound bound;
  uint64_t limit;

  bool Holds(uint64_t value) const {
    switch (bound) {
      case Bound::kAtLeast:
        return value >= limit;
      case Bound::kAtMost:
        return value <= limit;
      default:
        return value == limit;
    }
  }
};

class Parser {
 public:
  explicit Parser(const std::string& name) {
    result_.scenario.name = name;
    result_.scenario.paths.clear();
    result_.scenario.exchanges.clear();
  }

  void Line(std::string_view line) {
    Words words(line);
    if (words.empty()) return;
    using Statement = void (Parser::*)(Words*);
    static constexpr std::pair<std::string_view, Statement> kStatements[] = {
        {"seed", &Parser::Seed},
        {"family", &Parser::Families},
        {"path", &Parser::Path},
        {"down", &Parser::Down},
        {"bottleneck", &Parser::Bottleneck},
        {"mesh", &Parser::Mesh},
        {"dual-stack", &Parser::DualStack},
        {"second-family", &Parser::SecondFamily},
        {"listen", &Parser::Listen},
        {"host", &Parser::HostLine},
        {"policy", &Parser::Policy},
        {"exchange", &Parser::ExchangeLine},
        {"client", &Parser::Client},
        {"server", &Parser::Server},
        {"box", &Parser::Box},
        {"lose", &Parser::Lose},
        {"use", &Parser::Use},
        {"at", &Parser::At},
        {"within", &Parser::Within},
        {"expect", &Parser::ExpectLine},
    };
    (this->*words.Choice<Statement>("statement", kStatements))(&words);
    words.End();
  }

  ScenarioText Finish() {
    Scenario& s = result_.scenario;
    if (s.paths.empty()) s.paths.resize(1);
    if (s.exchanges.empty()) Begin();
    std::vector<Exchange> all;
    for (size_t i = 0; i < s.exchanges.size(); ++i) {
      all.insert(all.end(), times_[i], s.exchanges[i]);
    }
    s.exchanges = std::move(all);
    for (Exchange& e : s.exchanges) e.client.altered = e.server.altered = altered_;
    if (!prepare_.empty()) {
      s.prepare = [actions = prepare_](World& w) {
        for (const Action& action : actions) action(w);
      };
    }
    if (!counters_.empty()) {
      s.check = [bounds = counters_](World& w, std::vector<std::string>* failures) {
        for (const CounterBound& b : bounds) {
          const uint64_t value = w.Sum(b.counter);
          if (!b.Holds(value)) failures->push_back(b.name + " is " + std::to_string(value));
        }
      };
    }
    return std::move(result_);
  }

 private:
  Scenario& scenario() { return result_.scenario; }

  void Seed(Words* w) { result_.seed = w->Number("seed"); }

  void Families(Words* w) {
    static constexpr std::pair<std::string_view, int> kFamilies[] = {
        {"v4", 4}, {"v6", 6}, {"both", 0}};
    const int family = w->Choice<int>("family", kFamilies);
    result_.families = {Family::kV4, Family::kV6};
    if (family != 0) result_.families = {static_cast<Family>(family)};
    scenario().family = result_.families.front();
  }

  static void Properties(Words* w, LinkConfig* link) {
    while (!w->empty()) {
      const std::string key = w->Next("property");
      if (!ParseLinkProperty(key, w, link)) {
        throw Complaint{"'" + key + "' is no property of a link", "one of: " + LinkProperties()};
      }
    }
  }

  void Path(Words* w) {
    if (scenario().paths.size() == kMostPaths) {
      throw Complaint{"too many paths", "at most " + std::to_string(kMostPaths)};
    }
    scenario().paths.emplace_back();
    Properties(w, &scenario().paths.back().up);
  }

  void Down(Words* w) {
    if (scenario().paths.empty()) {
      throw Complaint{"'down' before any path", "write it below the path whose way back it is"};
    }
    PathPlan& path = scenario().paths.back();
    path.down = path.up;
    Properties(w, &*path.down);
    if (path.down->mtu != path.up.mtu) {
      throw Complaint{"an interface has one MTU", "give it in the line of the path only"};
    }
  }

  void Bottleneck(Words* w) { Properties(w, &scenario().bottleneck.emplace()); }
  void Mesh(Words*) { scenario().mesh = true; }
  void SecondFamily(Words* w) {
    const size_t path = w->NumberFrom("path", 1, PathCount() - 1);
    scenario().paths[path].second_family = true;
  }
  void DualStack(Words*) { scenario().dual_stack = true; }

  void Listen(Words* w) {
    static constexpr std::pair<std::string_view, bool> kChoices[] = {{"wildcard", true},
                                                                     {"first", false}};
    scenario().wildcard = w->Choice<bool>("address to listen on", kChoices);
  }

  // 1: the client's, 2: the server's, 3: both.
  static int Sides(Words* w) {
    static constexpr std::pair<std::string_view, int> kChoices[] = {
        {"client", 1}, {"server", 2}, {"both", 3}};
    return w->Choice<int>("side", kChoices);
  }

  static void HostProperty(const std::string& key, Words* w, HostConfig* config) {
    if (key == "segmentation") {
      config->segmentation = w->YesNo("segmentation");
    } else if (key == "checksum") {
      config->checksum = w->YesNo("checksum");
    } else if (key == "send-buffer") {
      config->send_buffer = w->Size("send buffer");
    } else if (key == "receive-buffer") {
      config->receive_buffer = w->Size("receive buffer");
    } else if (key == "congestion") {
      static constexpr std::pair<std::string_view, CongestionAlgorithm> kChoices[] = {
          {"cubic", CongestionAlgorithm::kCubic},
          {"newreno", CongestionAlgorithm::kNewReno},
          {"lia", CongestionAlgorithm::kLia},
          {"olia", CongestionAlgorithm::kOlia},
          {"balia", CongestionAlgorithm::kBalia}};
      config->tcp.congestion = w->Choice<CongestionAlgorithm>("algorithm", kChoices);
    } else if (key == "scheduler") {
      config->scheduler = w->Choice<SchedulerKind>("scheduler", kSchedulerNames);
    } else if (key == "mesh") {
      static constexpr std::pair<std::string_view, bool> kChoices[] = {{"cover", false},
                                                                       {"full", true}};
      config->paths.full_mesh = w->Choice<bool>("mesh", kChoices);
    } else if (key == "max-subflows") {
      config->paths.max_subflows = w->NumberFrom("number of subflows", 1, 32);
    } else if (key == "max-addresses") {
      config->paths.max_addresses = w->NumberFrom("number of addresses", 0, 64);
    } else if (key == "announce") {
      config->paths.announce = w->YesNo("announce");
    } else if (key == "accept-joins") {
      config->paths.accept_joins = w->YesNo("accept-joins");
    } else if (key == "hold") {
      config->paths.hold = w->Time("hold");
    } else {
      throw Complaint{"'" + key + "' is no property of a host",
                      "one of: segmentation, checksum, send-buffer, receive-buffer, congestion, "
                      "scheduler, mesh, max-subflows, max-addresses, announce, accept-joins, hold"};
    }
  }

  void HostLine(Words* w) {
    const int sides = Sides(w);
    while (!w->empty()) {
      const std::string key = w->Next("property");
      Words again = *w;
      HostConfig scratch;
      HostProperty(key, w, &scratch);
      if ((sides & 2) != 0) {
        Words copy = again;
        HostProperty(key, &copy, &scenario().server_config);
      }
      if ((sides & 1) != 0) HostProperty(key, &again, &scenario().client_config);
    }
  }

  void Policy(Words* w) {
    const int sides = Sides(w);
    static constexpr std::pair<std::string_view, AuthPolicy> kPolicies[] = {
        {"auto", AuthPolicy::kAuto},
        {"tls", AuthPolicy::kTls},
        {"keys", AuthPolicy::kKeys},
        {"tcp", AuthPolicy::kTcp}};
    const auto policy = w->Choice<AuthPolicy>("policy", kPolicies);
    const bool hooked = !w->Take("unhooked");
    if ((sides & 1) != 0) scenario().connect = ConnectAs(policy, hooked);
    if ((sides & 2) != 0) scenario().listen = ListenAs(policy, hooked);
  }

  void Begin() {
    scenario().exchanges.emplace_back();
    times_.push_back(1);
  }

  void ExchangeLine(Words* w) {
    Begin();
    Exchange& e = scenario().exchanges.back();
    while (!w->empty()) {
      const std::string key = w->Next("property");
      if (key == "start") {
        e.start = w->Time("start");
      } else if (key == "times") {
        times_.back() = w->NumberFrom("number of exchanges", 1, kMostExchanges);
      } else if (key == "plain") {
        e.plain = w->YesNo("plain");
      } else if (key == "tls") {
        e.client.tls = e.server.tls = w->YesNo("tls");
      } else {
        throw Complaint{"'" + key + "' is no property of an exchange",
                        "one of: start, times, plain, tls"};
      }
    }
  }

  void Client(Words* w) {
    if (scenario().exchanges.empty()) Begin();
    Program(w, &scenario().exchanges.back().client);
  }
  void Server(Words* w) {
    if (scenario().exchanges.empty()) Begin();
    Program(w, &scenario().exchanges.back().server);
  }

  static void Program(Words* w, ProgramPlan* plan) {
    using Property = void (*)(Words*, ProgramPlan*);
    static constexpr std::pair<std::string_view, Property> kProperties[] = {
        {"sends", [](Words* v, ProgramPlan* p) { p->send_bytes = v->Size("number of bytes"); }},
        {"reads", Reads},
        {"pauses", Pauses},
        {"writes", Writes},
        {"keys", Keys},
        {"ends", Ends},
    };
    while (!w->empty()) w->Choice<Property>("property of a program", kProperties)(w, plan);
  }

  static void Reads(Words* w, ProgramPlan* plan) {
    plan->read_chunk = w->Size("number of bytes");
    w->Want("every");
    plan->read_interval = w->Time("time between reads");
  }
  static void Pauses(Words* w, ProgramPlan* plan) {
    w->Want("at");
    plan->read_pause_at = w->Time("time of the pause");
    w->Want("for");
    plan->read_pause = w->Time("length of the pause");
  }
  static void Writes(Words* w, ProgramPlan* plan) {
    plan->write_chunk = w->Size("number of bytes");
    w->Want("every");
    plan->write_interval = w->Time("time between writes");
  }
  static void Keys(Words* w, ProgramPlan* plan) {
    if (w->Take("refused")) {
      plan->refuse_keys = true;
    } else if (w->Take("wrong")) {
      plan->wrong_key = w->Number("number of another session");
    } else {
      w->Want("after");
      plan->key_delay = w->Time("delay of the keys");
    }
  }
  static void Ends(Words* w, ProgramPlan* plan) {
    static constexpr std::pair<std::string_view, Ending> kEndings[] = {
        {"when-sent", Ending::kShutdownWhenSent},
        {"after-peer", Ending::kShutdownAfterPeer},
        {"abort-after-sending", Ending::kAbortAfterSending},
        {"abort-after-receiving", Ending::kAbortAfterReceiving},
        {"abort-after-peer", Ending::kAbortAfterPeer},
        {"orphan-when-sent", Ending::kOrphanWhenSent},
    };
    plan->ending = w->Choice<Ending>("ending", kEndings);
    if (plan->ending == Ending::kAbortAfterSending ||
        plan->ending == Ending::kAbortAfterReceiving) {
      plan->abort_after = w->Size("number of bytes");
    }
  }

  size_t PathCount() const { return std::max<size_t>(result_.scenario.paths.size(), 1); }

  void Box(Words* w) { prepare_.push_back(ParseBox(w, PathCount())); }
  void Use(Words* w) { prepare_.push_back(ParseUse(w, PathCount())); }
  void Lose(Words* w) { prepare_.push_back(ParseLoss(w, PathCount())); }

  void At(Words* w) {
    const Duration at = w->Time("time");
    scenario().events.push_back({at, ParseEvent(w, PathCount())});
  }

  void Within(Words* w) { scenario().budget = w->Time("budget"); }

  void ExpectLine(Words* w) {
    using Statement = void (Parser::*)(Words*);
    static constexpr std::pair<std::string_view, Statement> kExpectations[] = {
        {"mode", &Parser::ExpectMode},
        {"client", &Parser::ExpectClient},
        {"server", &Parser::ExpectServer},
        {"subflows", &Parser::ExpectSubflows},
        {"no-timeout", &Parser::ExpectNoTimeout},
        {"thrifty", &Parser::ExpectThrifty},
        {"share", &Parser::ExpectShare},
        {"delivered", &Parser::ExpectDelivered},
        {"counter", &Parser::ExpectCounter},
        {"altered", &Parser::ExpectAltered},
    };
    (this->*w->Choice<Statement>("expectation", kExpectations))(w);
  }

  void ExpectMode(Words* w) {
    static constexpr std::pair<std::string_view, Mode> kModes[] = {
        {"tls-auth", Mode::kTlsAuth}, {"keys", Mode::kKeys}, {"tcp", Mode::kTcp}};
    scenario().expect.mode = w->Choice<Mode>("mode", kModes);
  }
  static std::optional<EndReason> EndOf(Words* w) {
    static constexpr std::pair<std::string_view, EndReason> kEnds[] = {
        {"any", EndReason::kNone},           {"clean", EndReason::kClean},
        {"reset", EndReason::kReset},        {"refused", EndReason::kRefused},
        {"timed-out", EndReason::kTimedOut}, {"unreachable", EndReason::kUnreachable},
        {"aborted", EndReason::kAborted}};
    const auto end = w->Choice<EndReason>("end", kEnds);
    return end == EndReason::kNone ? std::nullopt : std::optional(end);
  }
  void ExpectClient(Words* w) { scenario().expect.client_end = EndOf(w); }
  void ExpectServer(Words* w) { scenario().expect.server_end = EndOf(w); }
  void ExpectSubflows(Words* w) { scenario().expect.subflows = w->Number("number of subflows"); }
  void ExpectNoTimeout(Words*) { scenario().expect.no_timeout = true; }
  void ExpectThrifty(Words*) { scenario().expect.thrifty = true; }
  void ExpectShare(Words* w) { scenario().expect.least_share = w->Probability("share"); }
  void ExpectDelivered(Words* w) { scenario().expect.delivered = w->YesNo("delivered"); }
  void ExpectAltered(Words* w) { altered_ = w->Number("number of bytes"); }
  void ExpectCounter(Words* w) {
    CounterBound bound;
    bound.name = w->Next("name of a counter");
    bound.counter = FindCounter(bound.name);
    static constexpr std::pair<std::string_view, Bound> kBounds[] = {
        {"at-least", Bound::kAtLeast}, {"at-most", Bound::kAtMost}, {"exactly", Bound::kExactly}};
    bound.bound = w->Choice<Bound>("bound", kBounds);
    bound.limit = w->Number("value");
    counters_.push_back(bound);
  }

  ScenarioText result_;
  std::vector<size_t> times_;  // of each exchange
  std::vector<Action> prepare_;
  std::vector<CounterBound> counters_;
  uint64_t altered_ = 0;
};

}  // namespace

std::optional<ScenarioText> ParseScenario(const std::string& name, std::string_view text,
                                          std::string* error) {
  Parser parser(name);
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    try {
      parser.Line(text.substr(0, end));
    } catch (const Complaint& complaint) {
      *error =
          name + ":" + std::to_string(number) + ": " + complaint.cause + "; " + complaint.remedy;
      return std::nullopt;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.Finish();
}

std::optional<ScenarioText> LoadScenario(const std::string& path, std::string* error) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    *error = path + ": cannot be read; give the path of a .scenario file";
    return std::nullopt;
  }
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  auto parsed = ParseScenario(path, text, error);
  if (parsed) parsed->scenario.name = std::filesystem::path(path).stem().string();
  return parsed;
}

}  // namespace mptcptls::sim
