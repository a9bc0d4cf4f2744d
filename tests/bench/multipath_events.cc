#include "tests/bench/multipath_events.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/bench/contender.h"
#include "tests/bench/format.h"
#include "tests/bench/multipath_field.h"
#include "tests/bench/spread.h"
#include "tests/netns/capture.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::bench {
namespace {

using lab::Lab;
using nlohmann::json;

constexpr double kRate = 20;       // Mbit/s of each link
constexpr double kTransfer = 11;   // seconds
constexpr double kDeathAfter = 7;  // about: slow starts are over
constexpr double kLeastTimeout = 0.2;
constexpr size_t kDownload = 4 << 20;

uint64_t SentOn(const Lab& lab, int link) {
  return lab.client().Counters(Lab::Interface(link)).tx_bytes;
}

// The longest time without data of a transfer whose link dies.
double MeasureResume(Field* field, Contender contender, const ResumeRow& row, uint64_t seed) {
  field->Set(row.wires, seed);
  const Lab& lab = field->lab();
  const uint64_t before = SentOn(lab, row.dead);
  Task task{.seconds = kTransfer};
  task.meanwhile = [&] {
    const auto enough = static_cast<uint64_t>(kRate * 1e6 / 8 * kDeathAfter * 0.9);
    const bool going = lab::Eventually([&] { return SentOn(lab, row.dead) - before > enough; });
    if (!going) throw std::runtime_error("link " + std::to_string(row.dead) + " is not used");
    field->Kill(row.dead);
  };
  return Run(contender, lab, task).transfer.pause_seconds;
}

// Of curl and nginx: the client's handshake ends with the second segment that it sends data in.
double MeasureJoin(Field* field, const JoinRow& row, uint64_t seed) {
  const Lab& lab = field->lab();
  lab::Nginx nginx(lab, lab.server());
  lab::WriteFile(nginx.www() + "/file", std::string(kDownload, 'x'));
  nginx.Start(lab::Product::Environment());
  field->Set(row.wires, seed);
  std::array<std::unique_ptr<lab::Capture>, 2> captures;
  for (const size_t i : {0u, 1u}) {
    const std::string link = Lab::Interface(static_cast<int>(i) + 1);
    captures[i] = std::make_unique<lab::Capture>(
        lab.client(), link, lab.folder() + "/" + link + ".pcap", "tcp port 443", 160);
  }
  const lab::CurlResult result = lab::RunCurl(
      lab.client(),
      {.url = lab::UrlOf("https", lab.Address(lab.server(), 1, lab::Family::kV4), "/file"),
       .ca = nginx.certificate(),
       .tls = "1.3",
       .env = lab::Product::Environment()});
  for (const auto& capture : captures) capture->Stop();
  if (result.downloaded != kDownload) throw std::runtime_error("curl failed: " + result.error);
  const auto first = lab::ReadTrace(captures[0]->file());
  const auto second = lab::ReadTrace(captures[1]->file());
  const auto from_client = [](const lab::TracedPacket& p) {
    return p.payload > 0 && p.destination_port == 443;
  };
  const auto hello = std::ranges::find_if(first, from_client);
  const auto finished =
      hello == first.end() ? first.end() : std::find_if(std::next(hello), first.end(), from_client);
  const auto data =
      std::ranges::find_if(second, [](const lab::TracedPacket& p) { return p.payload > 0; });
  if (finished == first.end()) throw std::runtime_error("no handshake was seen");
  if (data == second.end()) throw std::runtime_error("the second path carried no data");
  return data->seconds - finished->seconds;
}

template <typename Measurement>
void Try(Field* field, std::vector<double>* into, std::vector<std::string>* failures,
         const Measurement& measurement) {
  try {
    into->push_back(measurement());
  } catch (const std::exception& error) {
    const std::string text = error.what();
    failures->push_back(text.substr(0, text.find('\n')));
  }
  field->Settle();
}

double Median(const std::vector<double>& values) { return SpreadOf(values).median; }

std::string Milliseconds(const std::vector<double>& values) {
  return values.empty() ? "failed" : Format("%.0f", Median(values) * 1e3);
}

}  // namespace

double ResumeRow::Limit() const {
  const double own = wires[static_cast<size_t>(dead) - 1].rtt_ms / 1e3;
  const double other = wires[dead == 1 ? 1 : 0].rtt_ms / 1e3;
  return 1.5 * (own + kLeastTimeout) + 1.5 * other;
}

double JoinRow::Limit() const { return (2.5 * wires[1].rtt_ms + wires[0].rtt_ms) / 1e3; }

EventResults MeasureEvents(const EventOptions& options) {
  EventResults results{.options = options, .resumes = {}, .joins = {}};
  for (const auto& rtt : options.rtt_ms) {
    const std::array<Wire, 2> wires = {Wire{.rtt_ms = rtt.first, .rate_mbit = kRate},
                                       Wire{.rtt_ms = rtt.second, .rate_mbit = kRate}};
    for (const int dead : {1, 2}) results.resumes.push_back({.wires = wires, .dead = dead});
    results.joins.push_back({.wires = wires});
  }
  Field field;
  for (int round = 0; round < options.rounds; ++round) {
    const uint64_t seed = options.seed + 2 * static_cast<uint64_t>(round);
    for (ResumeRow& row : results.resumes) {
      Try(&field, &row.kernel, &row.failures,
          [&] { return MeasureResume(&field, Contender::kMptcp, row, seed); });
      Try(&field, &row.ours, &row.failures,
          [&] { return MeasureResume(&field, Contender::kOurs, row, seed); });
      fprintf(stderr, "  round %d of %d  %7s ms  link %d dies: kernel %s ms, ours %s ms\n",
              round + 1, options.rounds, RoundTrips(row.wires).c_str(), row.dead,
              Milliseconds(row.kernel).c_str(), Milliseconds(row.ours).c_str());
    }
    for (JoinRow& row : results.joins) {
      Try(&field, &row.seconds, &row.failures, [&] { return MeasureJoin(&field, row, seed); });
    }
  }
  return results;
}

std::string ToTable(const EventResults& results) {
  std::string text =
      "\n      RTT  link that dies  kernel's MPTCP     ours  goal (ms without data)\n";
  std::string failures;
  const auto note = [&failures](const auto& row) {
    for (const std::string& failure : row.failures) {
      failures += "  " + RoundTrips(row.wires) + " ms: " + failure + "\n";
    }
  };
  for (const ResumeRow& row : results.resumes) {
    text +=
        Format("  %7s  %14d  %14s  %7s  %4.0f\n", RoundTrips(row.wires).c_str(), row.dead,
               Milliseconds(row.kernel).c_str(), Milliseconds(row.ours).c_str(), row.Limit() * 1e3);
    note(row);
  }
  text += Format(
      "\n  Two links of %g Mbit/s, of which one drops everything silently in the middle of a\n"
      "  transfer: the longest time in which the receiver's program got nothing, median of %d.\n"
      "  goal: 1.5 times the least retransmission timeout of the dead link, and the way over the\n"
      "  other one with its queue.\n",
      kRate, results.options.rounds);
  text += "\n      RTT  second path carries data  goal (ms after the TLS handshake)\n";
  for (const JoinRow& row : results.joins) {
    text += Format("  %7s  %24s  %4.0f\n", RoundTrips(row.wires).c_str(),
                   Milliseconds(row.seconds).c_str(), row.Limit() * 1e3);
    note(row);
  }
  text +=
      "\n  curl and nginx, as the client's links see it. goal: 2.5 round trips of the second "
      "path,\n"
      "  and one of the first for the server's announcement of its second address.\n";
  if (!failures.empty()) text += "  failed:\n" + failures;
  return text;
}

std::string ToJson(const EventResults& results) {
  json resumes = json::array(), joins = json::array();
  for (const ResumeRow& row : results.resumes) {
    resumes.push_back({{"rtt_ms", {row.wires[0].rtt_ms, row.wires[1].rtt_ms}},
                       {"dead", row.dead},
                       {"kernel_s", row.kernel},
                       {"ours_s", row.ours},
                       {"goal_s", row.Limit()},
                       {"failures", row.failures}});
  }
  for (const JoinRow& row : results.joins) {
    joins.push_back({{"rtt_ms", {row.wires[0].rtt_ms, row.wires[1].rtt_ms}},
                     {"ours_s", row.seconds},
                     {"goal_s", row.Limit()},
                     {"failures", row.failures}});
  }
  return json{{"resumes", resumes}, {"joins", joins}}.dump(1) + "\n";
}

}  // namespace mptcptls::bench
