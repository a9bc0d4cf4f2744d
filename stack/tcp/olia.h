// Opportunistic linked increases (draft-khalili-mptcp-congestion-control-05): LIA's sum is shared
// out by rate, and windows move from the paths with the largest ones to those that lose least.
#ifndef MPTCPTLS_STACK_TCP_OLIA_H_
#define MPTCPTLS_STACK_TCP_OLIA_H_

#include "stack/tcp/coupled.h"

namespace mptcptls {

class Olia final : public Coupled {
 public:
  using Coupled::Coupled;

 protected:
  double Increase() const override;
  uint32_t Reduced(uint32_t in_flight) override;
  void Save() override;
  void Restore() override;

 private:
  double Alpha() const;

  uint64_t saved_between_ = 0, saved_since_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_OLIA_H_
