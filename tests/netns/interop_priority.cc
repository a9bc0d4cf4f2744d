// Backup paths, by the kernel's endpoints: in the handshake (flag B) and later (MP_PRIO).
#include "tests/netns/interop_rows.h"

namespace mptcptls::lab {
namespace {

// The middle of link 1 drops everything silently. Where a router is the middle, only the client's
// side of it: the server's replies to both subflows leave by its first link.
void KillLinkOne(Interop& interop) {
  if (interop.options().middle != Middle::kRouter) return interop.lab().BlackholeOn(1);
  interop.lab().wire().Run(
      "nft 'table inet dead { chain middle { type filter hook forward priority 0; "
      "iifname c1 drop; oifname c1 drop; }; }'");
}

void MendLinkOne(Interop& interop) {
  if (interop.options().middle != Middle::kRouter) return interop.lab().BlackholeOff(1);
  interop.lab().wire().Run("nft delete table inet dead");
}

// Connects over two links, of which the kernel says that the second has these flags.
void TalkWithEndpoint(Interop& interop, const std::string& flags) {
  if (!interop.we_are_client()) interop.kernel().Limit(4, 0);
  interop.kernel().AddEndpoint(interop.Address(interop.kernels(), 2) + " dev l2 " +
                               (interop.we_are_client() ? "signal" : "subflow") + flags);
  interop.Talk();
  interop.AwaitSubflows(2);
}

std::string BackupFromTheBeginning(Interop& interop) {
  TalkWithEndpoint(interop, " backup");
  interop.RequireCounters({{interop.we_are_client() ? "MPJoinAckRx" : "MPJoinSynAckRx", 1}});
  if (!interop.IdlesWhile(2, 1)) {
    // A timeout on the first path, which a busy machine can cause, is a reason; but not for long.
    interop.Require(interop.OurCounter("rto_fired") > 0, "the backup carries data");
    interop.RequireEventually([&] { return interop.IdlesWhile(2, 1); }, "the backup goes on");
  }
  // It gives the dead path up.
  interop.Allow({"SubflowStale", "MPRstRx", "MPRstTx"});
  KillLinkOne(interop);
  interop.AwaitTraffic(2, 1 << 20);
  MendLinkOne(interop);
  interop.EndWell();
  return "idle until the first path dies, then all";
}

std::string BackupLater(Interop& interop) {
  TalkWithEndpoint(interop, "");
  interop.AwaitSubflowTraffic();
  const std::string address = interop.Address(interop.kernels(), 2);
  interop.kernel().ChangeEndpoint(address, "backup");
  interop.RequireCounters({{"MPPrioTx", 1}});
  // What is on its way comes through first.
  interop.RequireEventually([&] { return interop.IdlesWhile(2, 1); }, "the backup carries data");
  interop.kernel().ChangeEndpoint(address, "nobackup");
  interop.RequireCounters({{"MPPrioTx", 2}});
  interop.AwaitSubflowTraffic();
  interop.EndWell();
  return "MP_PRIO: idle, and then used again";
}

}  // namespace

std::vector<InteropRow> PriorityRows() {
  std::vector<InteropRow> rows;
  for (const Role we : {Role::kClient, Role::kServer}) {
    const Middle middle = we == Role::kClient ? Middle::kBridge : Middle::kRouter;
    for (const Family family : {Family::kV4, Family::kV6}) {
      rows.push_back({"kernel's backup endpoint",
                      {.we = we, .family = family, .middle = middle},
                      BackupFromTheBeginning});
    }
    rows.push_back({"kernel changes its mind", {.we = we, .middle = middle}, BackupLater});
  }
  return rows;
}

}  // namespace mptcptls::lab
