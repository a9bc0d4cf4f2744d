// What the machine's processors have done since it started.
#ifndef MPTCPTLS_TESTS_BENCH_PROCESSOR_TIME_H_
#define MPTCPTLS_TESTS_BENCH_PROCESSOR_TIME_H_

namespace mptcptls::bench {

// Seconds, summed over all cores, by /proc/stat: the only account that has the work which the
// kernel does for a packet in softirq, on whatever program's time it happens to run.
struct ProcessorTime {
  double busy = 0;    // user, nice, system, irq, softirq; of everybody on this machine
  double stolen = 0;  // wanted, but the hypervisor gave it to another machine

  ProcessorTime operator-(const ProcessorTime& other) const {
    return {.busy = busy - other.busy, .stolen = stolen - other.stolen};
  }
};

ProcessorTime ReadProcessorTime();

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_PROCESSOR_TIME_H_
