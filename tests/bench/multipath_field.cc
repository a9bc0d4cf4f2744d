#include "tests/bench/multipath_field.h"

#include <chrono>
#include <stdexcept>

#include "tests/bench/contender.h"
#include "tests/bench/format.h"
#include "tests/netns/product.h"

namespace mptcptls::bench {
namespace {

constexpr std::chrono::seconds kSettling{60};

}  // namespace

Field::Field() : lab_({.links = 2, .middle = lab::Middle::kEmulator, .kernel_mptcp = true}) {
  PrepareKernelMptcp(lab_);
  for (const lab::Host* host : {&lab_.client(), &lab_.server()}) {
    host->SetSysctl("net.ipv4.tcp_no_metrics_save", "1");
  }
}

void Field::Set(const std::array<Wire, 2>& wires, uint64_t seed) {
  for (const int link : {1, 2}) {
    lab_.Emulator(link, wires[static_cast<size_t>(link) - 1].ToSettings());
    lab_.Emulator(link, "restart " + std::to_string(seed + static_cast<uint64_t>(link)));
  }
}

void Field::Settle() {
  for (const int link : {1, 2}) {
    lab_.BlackholeOff(link);
    lab_.Emulator(link, "delay_ms=0 loss=0 rate_mbit=0");
  }
  for (const lab::Host* host : {&lab_.client(), &lab_.server()}) {
    if (lab::Product::EnginePid(*host) != 0) lab::Product::Down(*host);
  }
  const bool settled = lab::Eventually(
      [this] {
        return lab_.client().Run("ss -HtMn state connected exclude time-wait").empty() &&
               lab_.server().Run("ss -HtMn state connected exclude time-wait").empty();
      },
      kSettling);
  if (!settled) throw std::runtime_error("connections of a transfer do not end");
}

std::string Rates(const std::array<Wire, 2>& wires) {
  return Format("%g+%g", wires[0].rate_mbit, wires[1].rate_mbit);
}

std::string RoundTrips(const std::array<Wire, 2>& wires) {
  return Format("%g+%g", wires[0].rtt_ms, wires[1].rtt_ms);
}

}  // namespace mptcptls::bench
