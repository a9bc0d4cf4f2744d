// Balanced linked adaptation (draft-walid-mptcp-congestion-control-04): between LIA's friendliness
// and OLIA's balance, and quick to follow a change; a path that is slower than the best one also
// gives up more when it loses.
#ifndef MPTCPTLS_STACK_TCP_BALIA_H_
#define MPTCPTLS_STACK_TCP_BALIA_H_

#include "stack/tcp/coupled.h"

namespace mptcptls {

class Balia final : public Coupled {
 public:
  using Coupled::Coupled;

 protected:
  double Increase() const override;
  uint32_t Reduced(uint32_t in_flight) override;

 private:
  // alpha_r: how much faster the fastest is.
  double Alpha() const { return GreatestRate() / self().rate(); }
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_BALIA_H_
