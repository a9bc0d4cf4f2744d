// Every combination of what wants into the 40 bytes.
#include "stack/tcp/option_space.h"

#include <gmock/gmock.h>

#include <string>

namespace mptcptls {
namespace {

struct Want {
  std::string name;
  MptcpOptions options;
  size_t size;  // encoded
};

std::vector<Want> Wants() {
  std::vector<Want> all = {{"nothing", {}, 0}};
  for (const bool wide : {false, true}) {
    Want ack{wide ? "ack8" : "ack4", {}, wide ? 12u : 8u};
    ack.options.dss.emplace();
    ack.options.dss->data_ack = 7;
    ack.options.dss->data_ack_8 = wide;
    all.push_back(ack);
    Want data = ack;
    data.name += "_map";
    data.size += wide ? 16 : 12;
    data.options.dss->has_mapping = true;
    data.options.dss->length = 1;
    data.options.dss->dsn_8 = wide;
    all.push_back(data);
  }
  return all;
}

TEST(OptionSpace, EveryCombinationFitsAndNothingIsWasted) {
  for (const bool timestamps : {false, true}) {
    for (const bool pure_ack : {false, true}) {
      for (uint8_t holes = 0; holes <= 4; ++holes) {
        for (const Want& want : Wants()) {
          SCOPED_TRACE(want.name + " timestamps " + std::to_string(timestamps) + " pure ACK " +
                       std::to_string(pure_ack) + " holes " + std::to_string(holes));
          TcpOptions o;
          if (timestamps) o.timestamps = Timestamps{1, 2};
          const size_t room = RoomForMptcp(o, pure_ack, holes > 0);
          ASSERT_EQ(room, 40u - (timestamps ? 12 : 0) - (pure_ack && holes > 0 ? 12 : 0));
          ASSERT_EQ(EncodedSize(want.options), want.size);
          if (want.size <= room) o.mptcp = want.options;
          o.sack_count = holes;
          FitSackBlocks(&o);
          EXPECT_LE(EncodedSize(o), 40u);
          EXPECT_GE(o.sack_count, pure_ack && holes > 0 ? 1 : 0);
          // One more would not have fitted.
          if (o.sack_count < holes) {
            ++o.sack_count;
            EXPECT_GT(EncodedSize(o), 40u);
          }
        }
      }
    }
  }
}

TEST(OptionSpace, KnownCases) {
  TcpOptions o;
  o.timestamps = Timestamps{1, 2};
  o.sack_count = 4;
  FitSackBlocks(&o);
  EXPECT_EQ(o.sack_count, 3);  // RFC 2018 3: beside time stamps
  o.mptcp.dss.emplace();
  o.mptcp.dss->data_ack = 1;
  FitSackBlocks(&o);
  EXPECT_EQ(o.sack_count, 2);  // beside a Data ACK of four bytes too
}

}  // namespace
}  // namespace mptcptls
