#include "tests/sim/scenario_network.h"

#include <algorithm>
#include <charconv>
#include <memory>

namespace mptcptls::sim {
namespace {

enum class Direction : uint8_t { kUp, kDown, kBoth };
enum class Side : uint8_t { kClient, kServer };

constexpr std::pair<std::string_view, Direction> kDirections[] = {
    {"up", Direction::kUp}, {"down", Direction::kDown}, {"both", Direction::kBoth}};
constexpr std::pair<std::string_view, Side> kSides[] = {{"client", Side::kClient},
                                                        {"server", Side::kServer}};
constexpr uint64_t kLargestPayload = 9000, kManyPackets = 1'000'000;

// Which links of which paths a statement is about.
struct Place {
  size_t first = 0, last = 0;
  Direction direction = Direction::kBoth;

  void ForEachLink(World& w, const std::function<void(Link&)>& visit) const {
    for (size_t path = first; path <= last; ++path) {
      if (direction != Direction::kDown) visit(w.up(path));
      if (direction != Direction::kUp) visit(w.down(path));
    }
  }
};

size_t ParsePath(Words* words, size_t paths) {
  return words->NumberFrom("number of a path", 0, paths - 1);
}

Place ParsePlace(Words* words, size_t paths) {
  Place place;
  if (words->Take("all")) {
    place.last = paths - 1;
  } else {
    place.first = place.last = ParsePath(words, paths);
  }
  place.direction = words->Choice<Direction>("direction", kDirections);
  return place;
}

Selector ParseSelector(Words* words) {
  using Function = bool (*)(const TcpView&);
  static constexpr std::pair<std::string_view, Function> kSelectors[] = {
      {"any", [](const TcpView&) { return true; }},
      {"syn", IsSyn},
      {"syn-ack", IsSynAck},
      {"not-syn", [](const TcpView& p) { return !p.has(kSyn); }},
      {"data", IsData},
      {"ack", IsPureAck},
      {"fin", IsFin},
      {"rst", [](const TcpView& p) { return p.has(kRst); }},
  };
  return words->Choice<Function>("kind of packet", kSelectors);
}

Selector ParseOn(Words* words) {
  return words->Take("on") ? ParseSelector(words) : [](const TcpView&) { return true; };
}

using MakeBox = std::function<Middlebox()>;

MakeBox ParseStrip(Words* words) {
  static constexpr std::pair<std::string_view, uint8_t> kOptions[] = {
      {"mss", 2},  {"window-scale", 3}, {"sack-permitted", 4},
      {"sack", 5}, {"timestamps", 8},   {"mptcp", 30}};
  const auto kind = words->Choice<uint8_t>("option", kOptions);
  return [kind, on = ParseOn(words)] { return StripOption(kind, on); };
}

MakeBox ParseDrop(Words* words) {
  words->Want("mptcp");
  return [on = ParseOn(words)] { return DropMptcp(on); };
}

MakeBox ParseMss(Words* words) {
  const auto mss = static_cast<uint16_t>(words->NumberFrom("MSS", 0, 65535));
  return [mss] { return RewriteMss(mss); };
}

MakeBox ParseSplit(Words* words) {
  const uint64_t size = words->NumberFrom("size of a piece", 1, kLargestPayload);
  return [size] { return Split(size); };
}

MakeBox ParseMerge(Words* words) {
  const uint64_t size = words->NumberFrom("size of a whole", 1, kLargestPayload);
  return [size] { return Coalesce(size); };
}

MakeBox ParseResegment(Words* words) {
  const uint64_t size = words->NumberFrom("size of a segment", 1, kLargestPayload);
  return [size] { return Resegment(size); };
}

MakeBox ParseReorder(Words* words) {
  words->Want("every");
  const uint64_t n = words->NumberFrom("number of packets", 1, kManyPackets);
  words->Want("by");
  const uint64_t by = words->NumberFrom("number of packets", 1, 1000);
  return [n, by] { return Reorder(n, by); };
}

MakeBox ParseDuplicate(Words* words) {
  words->Want("every");
  const uint64_t n = words->NumberFrom("number of packets", 1, kManyPackets);
  words->Want("late");
  const uint64_t late = words->NumberFrom("number of packets", 0, 1000);
  return [n, late] { return Duplicate(n, late); };
}

MakeBox ParseUrgent(Words* words) {
  words->Want("every");
  const uint64_t n = words->NumberFrom("number of packets", 1, kManyPackets);
  words->Want("pointer");
  const auto pointer = static_cast<uint16_t>(words->NumberFrom("urgent pointer", 0, 65535));
  return [n, pointer] { return MarkUrgent(n, pointer); };
}

MakeBox ParseAlter(Words* words) {
  const uint64_t n = words->Number("number of a packet");
  return [n] { return AlterPayload(n); };
}

MakeBox ParseForge(Words* words) {
  words->Want("every");
  const uint64_t n = words->NumberFrom("number of packets", 1, kManyPackets);
  return [n] { return Forge(n); };
}

// Boxes that sit on both directions and share what they know.
Action ParsePair(const std::string& kind, const Place& place) {
  if (place.direction != Direction::kBoth) {
    throw Complaint{"'" + kind + "' needs both directions", "write: box PATH both " + kind};
  }
  return [place, nat = kind == "nat"](World& w) {
    for (size_t path = place.first; path <= place.last; ++path) {
      if (nat) {
        w.up(path).AddMiddlebox(w.nat(path).outbound());
        w.down(path).AddMiddlebox(w.nat(path).inbound());
      } else {
        const EchoPair echo = EchoMpCapable();
        w.up(path).AddMiddlebox(echo.towards_server);
        w.down(path).AddMiddlebox(echo.towards_client);
      }
    }
  };
}

// Numbers of packets: 7, or 100-109.
std::vector<uint64_t> ParseNumbers(Words* words) {
  std::vector<uint64_t> numbers;
  while (!words->empty()) {
    const std::string word = words->Next("number of a packet");
    uint64_t first = 0, last = 0;
    const char* const end = word.data() + word.size();
    auto parsed = std::from_chars(word.data(), end, first);
    last = first;
    if (parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    if (parsed.ec != std::errc{} || parsed.ptr != end || last < first || last - first > 10'000) {
      throw Complaint{"'" + word + "' is no number of packets", "write 7, or 100-109"};
    }
    for (uint64_t n = first; n <= last; ++n) numbers.push_back(n);
  }
  if (numbers.empty()) throw Complaint{"no packet is lost", "add their numbers, from 0 on"};
  return numbers;
}

Action ParseHole(Words* words, size_t paths) {
  const Place place = ParsePlace(words, paths);
  static constexpr std::pair<std::string_view, bool> kChoices[] = {{"begin", true}, {"end", false}};
  const bool on = words->Choice<bool>("state of a hole", kChoices);
  return [place, on](World& w) {
    place.ForEachLink(w, [on](Link& link) { link.set_black_hole(on); });
  };
}

SimHost& HostAt(World& w, Side side) { return side == Side::kClient ? w.client() : w.server(); }

Action ParseLinkEvent(Words* words, size_t paths) {
  const size_t path = ParsePath(words, paths);
  const auto side = words->Choice<Side>("side", kSides);
  static constexpr std::pair<std::string_view, bool> kChoices[] = {{"up", true}, {"down", false}};
  const bool up = words->Choice<bool>("state of a link", kChoices);
  return [=](World& w) { HostAt(w, side).SetUplinkUp(path, up); };
}

Action ParseRouteEvent(Words* words, size_t paths) {
  const size_t path = ParsePath(words, paths);
  const auto side = words->Choice<Side>("side", kSides);
  static constexpr std::pair<std::string_view, bool> kChoices[] = {{"back", true}, {"gone", false}};
  const bool routed = words->Choice<bool>("state of a route", kChoices);
  return [=](World& w) { HostAt(w, side).SetRouted(path, routed); };
}

}  // namespace

Action ParseUse(Words* words, size_t paths) {
  const size_t path = ParsePath(words, paths);
  const auto side = words->Choice<Side>("side", kSides);
  static constexpr std::pair<std::string_view, UplinkUse> kUses[] = {
      {"normal", UplinkUse::kNormal},
      {"backup", UplinkUse::kBackup},
      {"metered", UplinkUse::kMetered}};
  const auto use = words->Choice<UplinkUse>("use", kUses);
  const size_t subflows =
      words->Take("subflows") ? words->NumberFrom("number of subflows", 1, 8) : 1;
  return [=](World& w) { HostAt(w, side).SetUse(path, use, subflows); };
}

namespace {

Action ParseSet(Words* words, size_t paths) {
  const Place place = ParsePlace(words, paths);
  const Words rest = *words;
  LinkConfig scratch;
  while (!words->empty()) {
    const std::string key = words->Next("property");
    if (!ParseLinkProperty(key, words, &scratch)) {
      throw Complaint{"'" + key + "' is no property of a link", "one of: " + LinkProperties()};
    }
  }
  return [place, rest](World& w) {
    place.ForEachLink(w, [rest](Link& link) {
      Words again = rest;
      while (!again.empty()) ParseLinkProperty(again.Next("property"), &again, &link.config());
    });
  };
}

Action ParseRebind(Words* words, size_t paths) {
  const size_t path = ParsePath(words, paths);
  return [path](World& w) { w.nat(path).Rebind(); };
}

// The programs that are still there; with `alone`, those whose peer is not.
void AbortAll(World& w, bool alone) {
  for (size_t i = 0; i < w.pair_count(); ++i) {
    SimProgram &client = *w.pair(i).client, &server = *w.pair(i).server;
    if (alone && client.closed() == server.closed()) continue;
    if (!client.closed()) client.AbortNow(w.simulator().now());
    if (!server.closed()) server.AbortNow(w.simulator().now());
  }
}

Action ParseAbort(Words* words, size_t) {
  if (words->Take("all")) return [](World& w) { AbortAll(w, false); };
  if (words->Take("survivors")) return [](World& w) { AbortAll(w, true); };
  const auto side = words->Choice<Side>("side (or all, survivors)", kSides);
  const size_t index = words->empty() ? 0 : words->NumberFrom("number of an exchange", 0, 999);
  return [=](World& w) {
    if (index >= w.pair_count()) return;
    World::Pair& pair = w.pair(index);
    (side == Side::kClient ? pair.client : pair.server)->AbortNow(w.simulator().now());
  };
}

}  // namespace

Action ParseBox(Words* words, size_t paths) {
  const Place place = ParsePlace(words, paths);
  if (words->Take("nat")) return ParsePair("nat", place);
  if (words->Take("echo")) return ParsePair("echo", place);
  using Parse = MakeBox (*)(Words*);
  static constexpr std::pair<std::string_view, Parse> kBoxes[] = {
      {"strip", ParseStrip},     {"drop", ParseDrop},           {"mss", ParseMss},
      {"split", ParseSplit},     {"merge", ParseMerge},         {"resegment", ParseResegment},
      {"reorder", ParseReorder}, {"urgent", ParseUrgent},       {"alter", ParseAlter},
      {"forge", ParseForge},     {"duplicate", ParseDuplicate},
  };
  const MakeBox make = words->Choice<Parse>("middlebox (or nat, echo)", kBoxes)(words);
  return [place, make](World& w) {
    place.ForEachLink(w, [&make](Link& link) { link.AddMiddlebox(make()); });
  };
}

Action ParseLoss(Words* words, size_t paths) {
  const Place place = ParsePlace(words, paths);
  const Selector which = ParseSelector(words);
  if (words->Take("every")) {
    const uint64_t n = words->NumberFrom("number of packets", 1, kManyPackets);
    return [place, which, n](World& w) {
      place.ForEachLink(w, [&](Link& link) {
        link.AddLossPattern([which, n, seen = uint64_t{0}](const TcpView& p, uint64_t) mutable {
          return which(p) && ++seen % n == 0;
        });
      });
    };
  }
  const std::vector<uint64_t> numbers = ParseNumbers(words);
  return [place, which, numbers](World& w) {
    place.ForEachLink(w, [&](Link& link) { link.AddLossPattern(LoseNth(which, numbers)); });
  };
}

Action ParseEvent(Words* words, size_t paths) {
  using Parse = Action (*)(Words*, size_t);
  static constexpr std::pair<std::string_view, Parse> kEvents[] = {
      {"hole", ParseHole}, {"link", ParseLinkEvent}, {"route", ParseRouteEvent},
      {"set", ParseSet},   {"rebind", ParseRebind},  {"abort", ParseAbort},
      {"use", ParseUse},   {"box", ParseBox},        {"lose", ParseLoss},
  };
  return words->Choice<Parse>("event", kEvents)(words, paths);
}

bool ParseLinkProperty(const std::string& key, Words* words, LinkConfig* link) {
  if (key == "delay") {
    link->delay = words->Time("delay");
  } else if (key == "rate") {
    link->rate = words->Rate("rate");
  } else if (key == "queue") {
    link->queue_bytes = words->Size("queue");
  } else if (key == "mtu") {
    link->mtu = static_cast<uint32_t>(words->NumberFrom("MTU", 576, 65535));
  } else if (key == "loss") {
    link->loss = words->Probability("loss");
  } else if (key == "duplicate") {
    link->duplicate = words->Probability("duplication");
  } else if (key == "reorder") {
    link->reorder = words->Probability("reordering");
    words->Want("by");
    link->reorder_delay = words->Time("reordering's delay");
  } else if (key == "jitter") {
    link->jitter = words->Time("jitter");
  } else if (key == "scatter") {
    link->scatter = words->Time("scatter");
  } else if (key == "offload") {
    link->offload = words->YesNo("offload");
  } else if (key == "checksums") {
    static constexpr std::pair<std::string_view, bool> kChoices[] = {{"complete", true},
                                                                     {"partial", false}};
    link->complete_checksums = words->Choice<bool>("kind of checksums", kChoices);
  } else if (key == "gro") {
    link->gro = words->Time("GRO time");
  } else {
    return false;
  }
  return true;
}

std::string LinkProperties() {
  return "delay, rate, queue, mtu, loss, duplicate, reorder, jitter, scatter, offload, checksums, "
         "gro";
}

}  // namespace mptcptls::sim
