#include "tests/bench/processor_time.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string>

namespace mptcptls::bench {

ProcessorTime ReadProcessorTime() {
  // proc(5): cpu user nice system idle iowait irq softirq steal guest guest_nice, in ticks; guest
  // time is in user already.
  std::ifstream file("/proc/stat");
  std::string name;
  std::array<double, 8> ticks{};
  file >> name;
  for (double& value : ticks) file >> value;
  if (!file || name != "cpu") {
    throw std::runtime_error("cannot read /proc/stat: mount /proc in this container");
  }
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {.busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second,
          .stolen = ticks[7] / per_second};
}

}  // namespace mptcptls::bench
