// What the coupled algorithms have in common: LIA (lia.h), OLIA (olia.h), BALIA (balia.h). In
// congestion avoidance a subflow's window grows with an eye on the connection's other subflows, so
// that all together take no more of a shared bottleneck than one TCP (RFC 6356 2, goal 2). Slow
// start and recovery are each subflow's own. Alone, each is NewReno.
#ifndef MPTCPTLS_STACK_TCP_COUPLED_H_
#define MPTCPTLS_STACK_TCP_COUPLED_H_

#include "stack/tcp/congestion.h"
#include "stack/tcp/congestion_group.h"

namespace mptcptls {

class Coupled : public CongestionControl {
 public:
  // `group` outlives this.
  explicit Coupled(CongestionGroup* group) : group_(group) { group_->Join(&self_); }
  ~Coupled() override { group_->Leave(&self_); }
  Coupled(const Coupled&) = delete;
  Coupled& operator=(const Coupled&) = delete;

 protected:
  // For each byte acknowledged the window grows by so many segments; NewReno's is 1 / window (in
  // bytes). Negative: it shrinks. self() counts when this is called.
  virtual double Increase() const = 0;

  int64_t Growth(Time now, uint32_t bytes, Duration srtt) override;
  uint32_t Reduced(uint32_t in_flight) override { return in_flight / 2; }
  void Tell(Time now, uint32_t bytes, Duration srtt, uint32_t window) override;
  void Withdraw() override { self_.counts = false; }

  CongestionGroup::Member& self() { return self_; }
  const CongestionGroup::Member& self() const { return self_; }
  const CongestionGroup& group() const { return *group_; }
  double SumOfRates() const;    // bytes a second
  double GreatestRate() const;  // the same

 private:
  CongestionGroup* group_;
  CongestionGroup::Member self_;
  double fraction_ = 0;  // of a byte, not yet grown
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_COUPLED_H_
