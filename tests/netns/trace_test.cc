// The reader of captures, with the kernel's own MPTCP as the oracle.
#include "tests/netns/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

// Packets of one download of 100,000 bytes with curl and nginx.
std::vector<TracedPacket> TraceDownload(bool kernel_mptcp) {
  Lab lab({.links = 1, .kernel_mptcp = kernel_mptcp});
  Nginx nginx(lab, lab.server());
  WriteRandomFile(nginx.www() + "/file", 100000);
  // What `mptcpize run` preloads; it refuses to work where the kernel's MPTCP is off.
  std::vector<std::string> env;
  if (kernel_mptcp) env = {"LD_PRELOAD=/usr/lib/x86_64-linux-gnu/mptcpize/libmptcpwrap.so.0"};
  nginx.Start(env);
  Capture capture(lab.client(), "l1", lab.folder() + "/l1.pcap", "tcp", 160);
  const CurlResult result = RunCurl(
      lab.client(),
      {.url = UrlOf("http", lab.Address(lab.server(), 1, Family::kV6), "/file"), .env = env});
  EXPECT_EQ(result.status, 0) << result.error;
  capture.Stop();
  return ReadTrace(capture.file());
}

TEST(Trace, ReadsTheKernelsMptcp) {
  const std::vector<TracedPacket> packets = TraceDownload(true);
  EXPECT_EQ(ModeOf(packets), "keys");
  size_t received = 0;
  size_t mappings = 0;
  for (const TracedPacket& packet : packets) {
    if (packet.source == "fd00:9:1::2") received += packet.payload;
    if (packet.Find(kDss) != nullptr) ++mappings;
  }
  // The file and its HTTP header, in packets that the capture cut to 160 bytes.
  EXPECT_GT(received, 100000u);
  EXPECT_LT(received, 101000u);
  EXPECT_GT(mappings, 2u);
}

TEST(Trace, SeesPlainTcp) { EXPECT_EQ(ModeOf(TraceDownload(false)), "tcp"); }

TEST(Trace, SeesNoHandshake) { EXPECT_EQ(ModeOf({}), "none"); }

}  // namespace
}  // namespace mptcptls::lab
