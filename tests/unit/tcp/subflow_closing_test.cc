// Closing before anything was open.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

TEST(Closing, WhileOpeningIsNoRefusal) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.subflow->Close(rig.now);
  EXPECT_EQ(rig.closed, CloseReason::kAborted);
  EXPECT_EQ(rig.timers.Next(), kNever);
}

}  // namespace
}  // namespace mptcptls
