// The lab: two hosts joined by independent links, each link a subnet of its own, made of network
// namespaces and veth pairs; nothing of it is visible in the initial namespace but the names.
//
//   host      interface  IPv4             IPv6              with a router in the middle
//   client    lK         10.9.K.1/24      fd00:9:K::1/64    the same, default route via .254 / ::fe
//   server    lK         10.9.K.2/24      fd00:9:K::2/64    10.9.(100+K).2/24, fd00:9:(100+K)::2/64
//   stranger  l1         10.9.1.3/24      fd00:9:1::3/64    -
//
// K counts from 1. All is torn down by the destructor, and by a watchdog process when the owner
// dies.
#ifndef MPTCPTLS_TESTS_NETNS_LAB_H_
#define MPTCPTLS_TESTS_NETNS_LAB_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/netns/host.h"

namespace mptcptls::lab {

enum class Family { kV4, kV6 };

// What is between the two ends of each link. Everything but kNothing lives in a namespace `wire`
// with the ports cK (to the client) and sK (to the server).
enum class Middle {
  kNothing,  // one veth pair
  kBridge,   // a bridge per link: large segments pass whole; can be blackholed; room for a stranger
  kRouter,   // one router for all links; hosts have default routes (metric 100 + K)
  kEmulator,  // a linkemu process per link: delay, loss, rate; offloads off, so real packets
};

struct LabOptions {
  int links = 2;
  Middle middle = Middle::kNothing;
  // A third host on link 1, for raw attackers; needs kBridge.
  bool stranger = false;
  // net.mptcp.enabled in every host; off, no kernel can pretend to be us.
  bool kernel_mptcp = false;
  // Names the namespaces; empty: mptcptls-PID-N.
  std::string name = "";
  // The lab outlives this object and the process (for the command line).
  bool keep = false;
};

class Lab {
 public:
  // Throws std::runtime_error naming cause and remedy when the machine cannot (root, namespaces).
  explicit Lab(const LabOptions& options);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  const std::string& name() const { return options_.name; }
  const Host& client() const { return *client_; }
  const Host& server() const { return *server_; }
  const Host& stranger() const { return *stranger_; }
  const Host& wire() const { return *wire_; }
  int links() const { return options_.links; }
  // A directory that every user can enter, removed with the lab.
  const std::string& folder() const { return folder_; }

  // The address of `host` (this lab's client, server or stranger) on a link.
  std::string Address(const Host& host, int link, Family family) const;
  static std::string Interface(int link) { return "l" + std::to_string(link); }

  // Limits both ends of a link (tbf, 50 ms of queue, a burst that leaves 64 KiB segments whole).
  void Shape(int link, int mbit_per_second);
  void Unshape(int link);

  // What an administrator does at `host`: down loses static IPv6 addresses and gateway routes; up
  // puts them back, as a network manager would.
  void AdminDown(const Host& host, int link);
  void AdminUp(const Host& host, int link);
  // The carrier at `host` goes and comes (the other end of its cable is set down); the host keeps
  // addresses and routes.
  void CarrierOff(const Host& host, int link);
  void CarrierOn(const Host& host, int link);
  // From now on the middle of a link drops everything silently; needs a middle.
  void BlackholeOn(int link);
  void BlackholeOff(int link);

  // Sends a command to the emulator of a link and returns its answer; see linkemu.h.
  std::string Emulator(int link, const std::string& command);

 private:
  void MakeHosts();
  void MakeLink(int link);
  void AddBridge(int link);
  void StartEmulator(int link);
  void Configure(const Host& host, int link);
  // The number that stands for a link in the addresses of `host`.
  int Subnet(const Host& host, int link) const;
  // Where the other end of `host`'s cable is.
  std::pair<const Host*, std::string> OtherEnd(const Host& host, int link) const;

  LabOptions options_;
  std::string folder_;
  // Held open as long as the lab shall live; see watchdog.h.
  int watchdog_ = -1;
  std::unique_ptr<Host> client_, server_, stranger_, wire_;
  std::vector<std::unique_ptr<Child>> emulators_;
};

// Lab::Emulator() for a lab of another process.
std::string EmulateLink(const std::string& name, int link, const std::string& command);
// Ends a lab by its name: processes, namespaces, folder. Nothing happens when there is none.
void Destroy(const std::string& name);
// Throws std::runtime_error naming cause and remedy unless this machine can hold a lab.
void RequireLab();

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_LAB_H_
