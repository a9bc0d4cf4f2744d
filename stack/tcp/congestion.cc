#include "stack/tcp/congestion.h"

#include "stack/tcp/balia.h"
#include "stack/tcp/cubic.h"
#include "stack/tcp/lia.h"
#include "stack/tcp/new_reno.h"
#include "stack/tcp/olia.h"

namespace mptcptls {

std::unique_ptr<CongestionControl> CongestionControl::Create(CongestionAlgorithm algorithm,
                                                             CongestionGroup* group) {
  if (algorithm == CongestionAlgorithm::kCubic) return std::make_unique<Cubic>();
  if (group != nullptr && algorithm == CongestionAlgorithm::kLia) {
    return std::make_unique<Lia>(group);
  }
  if (group != nullptr && algorithm == CongestionAlgorithm::kOlia) {
    return std::make_unique<Olia>(group);
  }
  if (group != nullptr && algorithm == CongestionAlgorithm::kBalia) {
    return std::make_unique<Balia>(group);
  }
  return std::make_unique<NewReno>();
}

}  // namespace mptcptls
