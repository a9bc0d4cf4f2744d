#include "stack/tcp/congestion.h"

#include "stack/tcp/cubic.h"
#include "stack/tcp/new_reno.h"

namespace mptcptls {

std::unique_ptr<CongestionControl> CongestionControl::Create(CongestionAlgorithm algorithm) {
  if (algorithm == CongestionAlgorithm::kNewReno) return std::make_unique<NewReno>();
  return std::make_unique<Cubic>();
}

}  // namespace mptcptls
