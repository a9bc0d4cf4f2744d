#include "tests/bench/contender.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "tests/netns/product.h"

namespace mptcptls::bench {
namespace {

using lab::Child;
using lab::Command;
using lab::Lab;
using lab::Product;

constexpr char kPort[] = "5201";
// Even at half a Gbit/s the default size takes less.
constexpr std::chrono::seconds kDeadline{180};

std::string ProgramBeside(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

struct Pair {
  Command receiver, sender;
};

Pair StreamPair(const Lab& lab, const Task& task, const std::vector<std::string>& flags) {
  Pair pair;
  pair.receiver.argv = {ProgramBeside("bench_stream"), "recv", kPort};
  pair.sender.argv = {ProgramBeside("bench_stream"), "send",
                      lab.Address(lab.server(), task.link, lab::Family::kV4), kPort,
                      std::to_string(task.bytes)};
  for (Command* command : {&pair.receiver, &pair.sender}) {
    if (task.bytes == 0) command->argv.push_back("--seconds=" + std::to_string(task.seconds));
    command->argv.insert(command->argv.end(), flags.begin(), flags.end());
  }
  return pair;
}

Pair OursPair(const Lab& lab, const Task& task) {
  Pair pair = StreamPair(lab, task, {});
  for (Command* command : {&pair.receiver, &pair.sender}) {
    command->env = Product::Environment();
    // No TLS in these programs, so RFC 8684's own keys admit the second path.
    command->env.push_back("MPTCPTLS_AUTH=keys");
  }
  return pair;
}

Pair FloorPair(const Lab& lab, const Task& task) {
  Pair pair;
  pair.receiver.argv = {ProgramBeside("bench_floor"), "recv", kPort};
  pair.sender.argv = {ProgramBeside("bench_floor"), "send", kPort, std::to_string(task.bytes)};
  for (int link = 1; link <= lab.links(); ++link) {
    pair.sender.argv.push_back(lab.Address(lab.client(), link, lab::Family::kV4) + "=" +
                               lab.Address(lab.server(), link, lab::Family::kV4));
  }
  return pair;
}

Pair PairOf(Contender contender, const Lab& lab, const Task& task) {
  switch (contender) {
    case Contender::kOurs:
      return OursPair(lab, task);
    case Contender::kTcp:
      return StreamPair(lab, task, {"--congestion", task.congestion});
    case Contender::kMptcp:
      return StreamPair(lab, task, {"--mptcp", "--congestion", task.congestion});
    case Contender::kFloor:
      break;
  }
  return FloorPair(lab, task);
}

// What both programs said; one of them failed.
[[noreturn]] void ThrowFailure(Contender contender, const Child& receiver, const Child* sender) {
  std::string text = NameOf(contender) + " failed; its programs said:\n" + receiver.err();
  if (sender != nullptr) text += sender->err();
  throw std::runtime_error(text + "Remove the cause, or leave " + NameOf(contender) +
                           " out with --only");
}

Transfer Carry(Contender contender, const Lab& lab, const Task& task) {
  const Pair pair = PairOf(contender, lab, task);
  const auto receiver = lab.server().Start(pair.receiver);
  const auto listens = [&] { return receiver->err().find("listening") != std::string::npos; };
  lab::Eventually([&] { return listens() || !receiver->Running(); });
  if (!listens()) ThrowFailure(contender, *receiver, nullptr);
  const auto sender = lab.client().Start(pair.sender);
  task.meanwhile();
  // The sender ends last unless something is wrong.
  if (sender->Wait(kDeadline) != 0 || receiver->Wait() != 0) {
    ThrowFailure(contender, *receiver, sender.get());
  }
  const std::optional<Transfer> transfer = Transfer::FromLine(receiver->out());
  if (!transfer) throw std::runtime_error("the receiver printed " + receiver->out());
  if (task.bytes != 0 && transfer->bytes != task.bytes) {
    throw std::runtime_error(NameOf(contender) + " delivered " + std::to_string(transfer->bytes) +
                             " of " + std::to_string(task.bytes) + " bytes");
  }
  return *transfer;
}

// The engines are told to go between the runs: their nftables rules are in everybody's way. Before
// that, the client's says whether this was what is claimed.
void FinishOurs(const Lab& lab) {
  const std::optional<lab::EngineStatus> status = Product::Status(lab.client());
  if (!status || status->connections.empty()) {
    throw std::runtime_error(
        "ours: the client's engine knows of no connection, so the bytes went "
        "another way: see mptcptls check");
  }
  const lab::ConnectionStatus& connection = status->connections.back();
  if (connection.mode != "keys") {
    throw std::runtime_error("ours: the connection's mode was " + connection.mode + ", not keys");
  }
  Product::Down(lab.client());
  Product::Down(lab.server());
}

uint64_t SentBytes(const Lab& lab, int link) {
  return lab.client().Counters(Lab::Interface(link)).tx_bytes;
}

}  // namespace

std::string NameOf(Contender contender) {
  switch (contender) {
    case Contender::kOurs:
      return "ours";
    case Contender::kTcp:
      return "tcp";
    case Contender::kMptcp:
      return "mptcp";
    case Contender::kFloor:
      break;
  }
  return "floor";
}

std::string DescribeOf(Contender contender) {
  switch (contender) {
    case Contender::kOurs:
      return "programs under libmptcptls, an engine on each host, its own CUBIC";
    case Contender::kTcp:
      return "the kernel's TCP (over the first path, whatever there is)";
    case Contender::kMptcp:
      return "the kernel's MPTCP";
    case Contender::kFloor:
      break;
  }
  return "unix pair, relay, TUN and back, 60 KB segments, an ACK every 4, no protocol";
}

std::vector<Contender> AllContenders() {
  return {Contender::kOurs, Contender::kTcp, Contender::kMptcp, Contender::kFloor};
}

void PrepareKernelMptcp(const Lab& lab) {
  const std::string subflows = std::to_string(lab.links() - 1);
  for (const lab::Host* host : {&lab.client(), &lab.server()}) {
    host->Run("ip mptcp limits set subflows " + subflows + " add_addr_accepted " + subflows);
  }
  // The links are islands: the client gets from its second only to the server's second address,
  // which the server therefore announces. A subflow endpoint of the client would join the first.
  for (int link = 2; link <= lab.links(); ++link) {
    lab.server().Run("ip mptcp endpoint add " + lab.Address(lab.server(), link, lab::Family::kV4) +
                     " dev " + Lab::Interface(link) + " signal");
  }
}

void RequireContender(Contender contender) {
  if (contender != Contender::kOurs) return;
  for (const std::string& file : {Product::Library(), Product::Command(), Product::Engine()}) {
    if (access(file.c_str(), F_OK) != 0) {
      throw std::runtime_error(file +
                               " is not there: build mptcptls, mptcptlsd and mptcptls_shim "
                               "(scripts/bench.sh does), or say --only tcp,mptcp,floor");
    }
  }
}

Sample Run(Contender contender, const Lab& lab, const Task& task) {
  std::vector<uint64_t> before;
  for (int link = 1; link <= lab.links(); ++link) before.push_back(SentBytes(lab, link));
  Sample sample{.transfer = Carry(contender, lab, task)};
  uint64_t all = 0;
  uint64_t second = 0;
  for (int link = 1; link <= lab.links(); ++link) {
    const uint64_t bytes = SentBytes(lab, link) - before[static_cast<size_t>(link) - 1];
    all += bytes;
    if (link == 2) second = bytes;
  }
  sample.second_link_share = static_cast<double>(second) / static_cast<double>(all);
  if (contender == Contender::kOurs) FinishOurs(lab);
  return sample;
}

}  // namespace mptcptls::bench
