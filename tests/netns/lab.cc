#include "tests/netns/lab.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "tests/netns/linkemu.h"
#include "tests/netns/watchdog.h"

namespace mptcptls::lab {
namespace {

std::string FolderOf(const std::string& name) { return "/tmp/" + name; }

std::string NextName() {
  static std::atomic<int> count = 0;
  return "mptcptls-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

std::string EmulatorSocket(const std::string& name, int link) {
  return FolderOf(name) + "/linkemu" + std::to_string(link) + ".sock";
}

// linkemu lies beside the running program.
std::string LinkemuProgram() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mptcptls-linkemu";
}

}  // namespace

std::string EmulateLink(const std::string& name, int link, const std::string& command) {
  return ControlLinkemu(EmulatorSocket(name, link), command);
}

void Destroy(const std::string& name) {
  DestroyNamespaces(name);
  std::filesystem::remove_all(FolderOf(name));
}

void RequireLab() {
  if (geteuid() != 0) {
    throw std::runtime_error("the lab needs root (network namespaces, TUN, nftables): use sudo");
  }
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    throw std::runtime_error(std::string("cannot open /dev/net/tun (") + strerror(errno) +
                             "): load the tun module, or pass the device into the container");
  }
  close(fd);
  const pid_t pid = fork();
  if (pid == 0) _exit(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 ? 0 : 1);
  int status = 1;
  waitpid(pid, &status, 0);
  if (status != 0) {
    throw std::runtime_error(
        "cannot make network namespaces: the kernel lacks CONFIG_NET_NS, or this container lacks "
        "CAP_SYS_ADMIN");
  }
}

Lab::Lab(const LabOptions& options) : options_(options) {
  RequireLab();
  if (options_.stranger && options_.middle != Middle::kBridge) {
    throw std::logic_error("a stranger needs Middle::kBridge");
  }
  if (options_.name.empty()) options_.name = NextName();
  if (!ListNamespaces(options_.name).empty()) {
    throw std::runtime_error("lab " + options_.name + " is up already: take it down first");
  }
  folder_ = FolderOf(options_.name);
  if (!options_.keep) {
    const std::string name = options_.name;
    watchdog_ = StartWatchdog([name] { Destroy(name); });
  }
  try {
    std::filesystem::create_directory(folder_);
    chmod(folder_.c_str(), 0755);
    MakeHosts();
    for (int link = 1; link <= options_.links; ++link) MakeLink(link);
  } catch (...) {
    emulators_.clear();
    Destroy(options_.name);
    if (watchdog_ >= 0) close(watchdog_);
    throw;
  }
}

Lab::~Lab() {
  if (options_.keep) {
    for (const auto& emulator : emulators_) emulator->Release();
    return;
  }
  emulators_.clear();
  Destroy(options_.name);
  StopWatchdog(watchdog_);
}

void Lab::MakeHosts() {
  const auto make = [this](const char* role) {
    auto host = std::make_unique<Host>(options_.name + "-" + role);
    // Addresses are usable at once, and nobody asks for routers.
    for (const char* scope : {"all", "default"}) {
      const std::string prefix = std::string("net.ipv6.conf.") + scope + ".";
      host->SetSysctl(prefix + "accept_dad", "0");
      host->SetSysctl(prefix + "router_solicitations", "0");
    }
    host->SetSysctl("net.mptcp.enabled", options_.kernel_mptcp ? "1" : "0");
    return host;
  };
  client_ = make("client");
  server_ = make("server");
  if (options_.stranger) stranger_ = make("stranger");
  if (options_.middle != Middle::kNothing) wire_ = make("wire");
  if (options_.middle == Middle::kRouter) {
    wire_->SetSysctl("net.ipv4.ip_forward", "1");
    wire_->SetSysctl("net.ipv6.conf.all.forwarding", "1");
  }
}

void Lab::MakeLink(int link) {
  const std::string k = std::to_string(link);
  const auto cable = [](const Host& a, const std::string& a_port, const Host& b,
                        const std::string& b_port) {
    a.Run("ip link add " + a_port + " type veth peer name " + b_port + " netns " + b.netns());
    a.Run("ip link set " + a_port + " up");
    b.Run("ip link set " + b_port + " up");
  };
  if (options_.middle == Middle::kNothing) {
    cable(*client_, Interface(link), *server_, Interface(link));
  } else {
    cable(*client_, Interface(link), *wire_, "c" + k);
    cable(*server_, Interface(link), *wire_, "s" + k);
  }
  if (options_.middle == Middle::kBridge) AddBridge(link);
  if (options_.middle == Middle::kEmulator) StartEmulator(link);
  if (options_.middle == Middle::kRouter) {
    for (const Host* host : {client_.get(), server_.get()}) {
      const std::string n = std::to_string(Subnet(*host, link));
      const std::string port = (host == client_.get() ? "c" : "s") + k;
      wire_->Run("ip addr add 10.9." + n + ".254/24 dev " + port + "; ip addr add fd00:9:" + n +
                 "::fe/64 dev " + port + " nodad");
    }
  }
  Configure(*client_, link);
  Configure(*server_, link);
  if (stranger_ && link == 1) Configure(*stranger_, link);
}

void Lab::AddBridge(int link) {
  const std::string k = std::to_string(link);
  std::string ports = "c" + k + " s" + k;
  if (stranger_ && link == 1) {
    wire_->Run("ip link add x1 type veth peer name l1 netns " + stranger_->netns());
    wire_->Run("ip link set x1 up");
    stranger_->Run("ip link set l1 up");
    ports += " x1";
  }
  wire_->Run("ip link add br" + k + " type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
  wire_->Run("for port in " + ports + "; do ip link set $port master br" + k + "; done");
  wire_->Run("ip link set br" + k + " up");
  // Where br_netfilter is loaded, keep it out of this.
  wire_->Run("for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; done");
}

void Lab::StartEmulator(int link) {
  const std::string k = std::to_string(link);
  // Real packets with finished checksums instead of large segments: the emulator works on them.
  for (const Host* host : {client_.get(), server_.get()}) {
    host->Run("ethtool -K " + Interface(link) + " tx off tso off gso off gro off");
  }
  wire_->Run("for p in c" + k + " s" + k +
             "; do ethtool -K $p gro off; ip addr flush dev $p; done");
  const std::string socket = EmulatorSocket(options_.name, link);
  emulators_.push_back(wire_->Start(
      {.argv = {LinkemuProgram(), "--left", "c" + k, "--right", "s" + k, "--control", socket},
       .outlives_us = options_.keep}));
  if (!Eventually([&] { return access(socket.c_str(), F_OK) == 0; })) {
    throw std::runtime_error("linkemu did not start: " + emulators_.back()->err());
  }
}

int Lab::Subnet(const Host& host, int link) const {
  return options_.middle == Middle::kRouter && &host == server_.get() ? 100 + link : link;
}

std::string Lab::Address(const Host& host, int link, Family family) const {
  const std::string n = std::to_string(Subnet(host, link));
  const char* id = &host == client_.get() ? "1" : &host == server_.get() ? "2" : "3";
  return family == Family::kV4 ? "10.9." + n + "." + id : "fd00:9:" + n + "::" + id;
}

void Lab::Configure(const Host& host, int link) {
  const std::string port = Interface(link);
  const std::string n = std::to_string(Subnet(host, link));
  const std::string metric = std::to_string(100 + link);
  // `replace` and not `add`: after admin up, what the kernel kept is left as it is.
  host.Run("ip addr replace " + Address(host, link, Family::kV4) + "/24 dev " + port);
  host.Run("ip addr replace " + Address(host, link, Family::kV6) + "/64 dev " + port + " nodad");
  if (options_.middle == Middle::kRouter) {
    host.Run("ip route replace default via 10.9." + n + ".254 dev " + port + " metric " + metric);
    host.Run("ip route replace default via fd00:9:" + n + "::fe dev " + port + " metric " + metric);
  }
}

void Lab::Shape(int link, int mbit_per_second) {
  for (const Host* host : {client_.get(), server_.get()}) {
    host->Run("tc qdisc replace dev " + Interface(link) + " root tbf rate " +
              std::to_string(mbit_per_second) + "mbit burst 128kb latency 50ms");
  }
}

void Lab::Unshape(int link) {
  for (const Host* host : {client_.get(), server_.get()}) {
    host->Run("tc qdisc del dev " + Interface(link) + " root");
  }
}

void Lab::AdminDown(const Host& host, int link) {
  host.Run("ip link set " + Interface(link) + " down");
}

void Lab::AdminUp(const Host& host, int link) {
  host.Run("ip link set " + Interface(link) + " up");
  Configure(host, link);
}

std::pair<const Host*, std::string> Lab::OtherEnd(const Host& host, int link) const {
  if (options_.middle == Middle::kNothing) {
    return {&host == client_.get() ? server_.get() : client_.get(), Interface(link)};
  }
  return {wire_.get(), (&host == client_.get() ? "c" : "s") + std::to_string(link)};
}

void Lab::CarrierOff(const Host& host, int link) {
  const auto [peer, port] = OtherEnd(host, link);
  peer->Run("ip link set " + port + " down");
}

void Lab::CarrierOn(const Host& host, int link) {
  const auto [peer, port] = OtherEnd(host, link);
  if (peer != wire_.get()) return AdminUp(*peer, link);
  peer->Run("ip link set " + port + " up");
  if (options_.middle == Middle::kRouter) {
    peer->Run("ip addr replace fd00:9:" + std::to_string(Subnet(host, link)) + "::fe/64 dev " +
              port + " nodad");
  }
}

void Lab::BlackholeOn(int link) {
  const std::string k = std::to_string(link);
  if (options_.middle == Middle::kNothing) throw std::logic_error("a black hole needs a middle");
  if (options_.middle == Middle::kEmulator) {
    Emulator(link, "blackhole=1");
    return;
  }
  wire_->Run("nft 'table netdev blackhole" + k +
             " { chain drop_all { type filter hook ingress devices = { c" + k + ", s" + k +
             " } priority 0; policy drop; }; }'");
}

void Lab::BlackholeOff(int link) {
  if (options_.middle == Middle::kEmulator) {
    Emulator(link, "blackhole=0");
    return;
  }
  wire_->Run("nft delete table netdev blackhole" + std::to_string(link));
}

std::string Lab::Emulator(int link, const std::string& command) {
  return EmulateLink(options_.name, link, command);
}

}  // namespace mptcptls::lab
