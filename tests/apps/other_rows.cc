// Measurement, and a look at the packets.
#include <nlohmann/json.hpp>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"
#include "tests/netns/capture.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

void Iperf(App& app) {
  app.Serve(app.server(), 5201, {"iperf3", "-s", "-1"});
  const std::string out = app.Run({"iperf3", "-c", app.Address(), "-n", "32M", "-P", "2", "-J"});
  // It ends when all is sent, not when all has arrived: with the kernel's TCP some 5 MB are
  // missing.
  const auto end = nlohmann::json::parse(out).at("end");
  app.Require(end.at("sum_sent").at("bytes") >= 32 * kMiB, "not all was sent");
  app.Require(end.at("sum_received").at("bytes") >= 16 * kMiB, "not even the half has arrived");
}

// tcpdump, preloaded itself, sees both paths of a download.
void Tcpdump(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  ServeNginx(app, app.server());
  std::vector<std::unique_ptr<Capture>> captures;
  for (int link = 1; link <= 2; ++link) {
    const std::string name = Lab::Interface(link);
    captures.push_back(std::make_unique<Capture>(app.client(), name, app.Path(name + ".pcap"),
                                                 "tcp", 200, Product::Environment()));
  }
  app.Run(Curl(app, "/file"));
  app.RequireFile(app.Path("copy"), sum);
  for (const auto& capture : captures) capture->Stop();
  const bool both = app.IsPreloaded(app.client()) && app.IsPreloaded(app.server());
  app.Require(ModeOf(ReadTrace(captures[0]->file())) == (both ? "tls-auth" : "tcp"),
              "the packets say " + ModeOf(ReadTrace(captures[0]->file())));
  uint64_t payload = 0;
  for (const TracedPacket& packet : ReadTrace(captures[1]->file())) payload += packet.payload;
  app.Require((payload > kMiB) == both,
              "path 2 carried " + std::to_string(payload) + " bytes that tcpdump saw");
}

}  // namespace

std::vector<AppRow> OtherRows() {
  return {
      {.name = "iperf3",
       .server = "iperf3 -s",
       .client = "iperf3 -P 2",
       .job = "32 MiB up",
       .mode = "keys",
       .reason = "no TLS",
       .needs = {"iperf3"},
       .run = Iperf},
      {.name = "tcpdump",
       .server = "nginx",
       .client = "curl; tcpdump, preloaded too",
       .job = "16 MiB down, seen on both paths",
       .mode = "tls-auth",
       .needs = {"tcpdump", "nginx", "curl"},
       .run = Tcpdump},
  };
}

}  // namespace mptcptls::lab
