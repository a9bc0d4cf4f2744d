// Debian's curl and nginx, ours preloaded with the product, the kernel's with what `mptcpize run`
// preloads: large files over lossy paths, and TLS.
#include "tests/netns/capture.h"
#include "tests/netns/interop_rows.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

constexpr char kMptcpize[] = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/mptcpize/libmptcpwrap.so.0";
constexpr size_t kLarge = 64 * kMiB, kSmall = 2 * kMiB;

std::vector<std::string> EnvironmentOf(const Interop& interop, const Host& host) {
  if (&host == &interop.ours()) return Product::Environment();
  return {kMptcpize};
}

void AnnounceSecond(Interop& interop) {
  if (!interop.we_are_client()) return;
  interop.kernel().AddEndpoint(interop.Address(interop.kernels(), 2) + " dev l2 signal");
}

void RequireEqual(Interop& interop, const CurlResult& result, const std::string& file,
                  const std::string& sum) {
  interop.Require(result.status == 0,
                  "curl: " + std::to_string(result.status) + " " + result.error);
  interop.Require(FileSha256(file) == sum, "the copy differs");
}

// 64 MiB down and 64 MiB up, over plain HTTP, with one packet in 100 lost on each link.
std::string LargeFiles(Interop& interop) {
  AnnounceSecond(interop);
  for (const int link : {1, 2}) interop.lab().Emulator(link, "loss=0.01");
  const Host& client = interop.lab().client();
  Nginx nginx(interop.lab(), interop.lab().server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", kLarge);
  nginx.Start(EnvironmentOf(interop, interop.lab().server()));
  const std::string server = interop.Address(interop.lab().server(), 1);
  const std::string copy = interop.lab().folder() + "/copy";
  const auto env = EnvironmentOf(interop, client);
  const Carried before = interop.CarriedBy(2);
  RequireEqual(interop,
               RunCurl(client, {.url = UrlOf("http", server, "/file"), .output = copy, .env = env}),
               copy, sum);
  RequireEqual(interop,
               RunCurl(client, {.url = UrlOf("http", server, "/upload/file"),
                                .upload = nginx.www() + "/file",
                                .env = env}),
               nginx.uploads() + "/file", sum);
  const Carried after = interop.CarriedBy(2);
  interop.Require(after.down - before.down > kLarge / 10 && after.up - before.up > kLarge / 10,
                  "the second link carried next to nothing");
  interop.RequireCounters({{interop.we_are_client() ? "MPJoinAckRx" : "MPJoinSynAckRx", 2}});
  interop.NoteSubflows(2);
  interop.RequireNoErrors();
  return "64 MiB down, 64 MiB up, SHA-256 equal";
}

// The kernel ignores an MP_CAPABLE with E: the first connection is plain TCP, and the engine
// remembers to offer H alone (PROTOCOL.md 1). As server we answer what the kernel offers.
std::string Tls(Interop& interop) {
  AnnounceSecond(interop);
  const Host& client = interop.lab().client();
  Nginx nginx(interop.lab(), interop.lab().server());
  const std::string sum = WriteRandomFile(nginx.www() + "/file", kSmall);
  nginx.Start(EnvironmentOf(interop, interop.lab().server()));
  const std::string copy = interop.lab().folder() + "/copy";
  std::string modes;
  for (const int time : {1, 2}) {
    Capture capture(client, "l1", interop.lab().folder() + "/" + std::to_string(time) + ".pcap",
                    "tcp port 443", 160);
    RequireEqual(
        interop,
        RunCurl(client, {.url = UrlOf("https", interop.Address(interop.lab().server(), 1), "/file"),
                         .output = copy,
                         .ca = nginx.certificate(),
                         .env = EnvironmentOf(interop, client)}),
        copy, sum);
    capture.Stop();
    modes += (modes.empty() ? "" : ", then ") + ModeOf(ReadTrace(capture.file()));
  }
  interop.Require(modes == (interop.we_are_client() ? "tcp, then keys" : "keys, then keys"),
                  "the connections were: " + modes);
  interop.NoteSubflows(2);
  interop.RequireCounters({{interop.we_are_client() ? "MPJoinAckRx" : "MPJoinSynAckRx",
                            interop.we_are_client() ? 1 : 2}});
  interop.RequireNoErrors();
  return modes;
}

}  // namespace

std::vector<InteropRow> ProgramRows() {
  std::vector<InteropRow> rows;
  for (const Role we : {Role::kClient, Role::kServer}) {
    rows.push_back({"nginx and curl over TLS", {.we = we}, Tls});
    rows.push_back({"nginx and curl, 1 % loss",
                    {.we = we, .middle = Middle::kEmulator, .mbit = 0},
                    LargeFiles});
  }
  return rows;
}

std::vector<InteropRow> AllInteropRows() {
  std::vector<InteropRow> rows;
  for (const auto& topic :
       {JoinRows, AddressRows, PriorityRows, EndRows, FallbackRows, ProgramRows}) {
    const std::vector<InteropRow> more = topic();
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

}  // namespace mptcptls::lab
