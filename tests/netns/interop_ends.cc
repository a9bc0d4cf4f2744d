// How a connection is broken off (MP_FASTCLOSE), and what protects its data (the DSS checksum).
#include <signal.h>

#include <algorithm>

#include "tests/netns/capture.h"
#include "tests/netns/interop_rows.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

constexpr uint8_t kFlagA = 0x80;  // checksum required

void ExpectReset(Interop& interop, Child& breaks_off, Child& other) {
  breaks_off.Signal(SIGUSR2);
  interop.Require(interop.ResultOf(breaks_off, "who breaks off").end == "broken off",
                  "the end came before its end");
  const TalkResult result = interop.ResultOf(other, "the other");
  interop.Require(result.end == "ECONNRESET", "the other program was told " + result.end);
  interop.Require(result.right, "what was heard is wrong");
  interop.RequireNothingLeft();
  interop.RequireNoErrors();
}

std::string KernelBreaksOff(Interop& interop, bool unread) {
  TalkOverAllLinks(interop, "", {.unread = unread});
  // Its RSTs carry a reason beside.
  interop.Allow({"MPFastcloseTx", "MPRstTx"});
  ExpectReset(interop, interop.kernel_talker(), interop.our_talker());
  interop.RequireCounters({{"MPFastcloseTx", 1}}, false);
  return "our program: ECONNRESET; no subflow left";
}

std::string WeBreakOff(Interop& interop, bool unread) {
  TalkOverAllLinks(interop, "", {.unread = unread});
  // It resets the other subflow, and says why.
  interop.Allow({"MPFastcloseRx", "MPRstTx"});
  ExpectReset(interop, interop.our_talker(), interop.kernel_talker());
  interop.RequireCounters({{"MPFastcloseRx", 1}}, false);
  return "its program: ECONNRESET; no subflow left";
}

std::string Checksums(Interop& interop) {
  interop.kernels().SetSysctl("net.mptcp.checksum_enabled", "1");
  Capture capture(interop.lab().client(), "l1", interop.lab().folder() + "/l1.pcap",
                  "tcp port " + std::to_string(kTalkPort), 160);
  TalkOverAllLinks(interop);
  interop.RequireCounters({{interop.we_are_client() ? "MPJoinAckRx" : "MPJoinSynAckRx", 1}});
  interop.EndWell();
  capture.Stop();
  const auto packets = ReadTrace(capture.file());
  const auto answer = std::ranges::find_if(packets, [](const TracedPacket& packet) {
    return packet.syn && packet.ack && packet.Find(kMpCapable) != nullptr;
  });
  interop.Require(answer != packets.end() && (answer->Find(kMpCapable)->bytes[1] & kFlagA) != 0,
                  "no checksum was agreed on");
  return "every mapping has one, both ways; none wrong";
}

}  // namespace

std::vector<InteropRow> EndRows() {
  std::vector<InteropRow> rows;
  for (const Role we : {Role::kClient, Role::kServer}) {
    for (const bool unread : {false, true}) {
      const std::string how = unread ? ": close, unread data" : ": SO_LINGER 0";
      rows.push_back({"kernel breaks off" + how, {.we = we}, [unread](Interop& interop) {
                        return KernelBreaksOff(interop, unread);
                      }});
      rows.push_back({"we break off" + how, {.we = we}, [unread](Interop& interop) {
                        return WeBreakOff(interop, unread);
                      }});
    }
  }
  for (const Role we : {Role::kClient, Role::kServer}) {
    rows.push_back({"kernel asks for checksums", {.we = we}, Checksums});
  }
  return rows;
}

}  // namespace mptcptls::lab
