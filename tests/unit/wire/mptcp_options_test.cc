// Options of kind 30 against libtins: what we encode is what it carries, and the other way round.
#include "stack/wire/mptcp_options.h"

#include <gtest/gtest.h>
#include <tins/tins.h>

#include "stack/wire/segment.h"

namespace mptcptls {
namespace {

// The option as libtins puts it on a segment, without kind and length.
std::vector<uint8_t> Body(const MptcpOptions& options) {
  std::vector<uint8_t> ours(EncodedSize(options));
  EXPECT_EQ(Encode(options, ours.data()), ours.data() + ours.size());
  Tins::TCP tcp(443, 40000);
  std::vector<uint8_t> bytes = tcp.serialize();
  bytes[12] = static_cast<uint8_t>((5 + ours.size() / 4) << 4);
  bytes.insert(bytes.end(), ours.begin(), ours.end());
  const Tins::TCP parsed(bytes.data(), static_cast<uint32_t>(bytes.size()));
  const auto* option = parsed.search_option(static_cast<Tins::TCP::OptionTypes>(30));
  if (option == nullptr) return {};
  return {option->data_ptr(), option->data_ptr() + option->data_size()};
}

MptcpOptions Parsed(const std::vector<uint8_t>& body) {
  Tins::TCP tcp(443, 40000);
  tcp.flags(Tins::TCP::ACK);
  tcp.add_option({static_cast<Tins::TCP::OptionTypes>(30), body.begin(), body.end()});
  auto packet = Tins::IP("10.0.0.1", "10.0.0.2") / tcp;
  const std::vector<uint8_t> bytes = packet.serialize();
  Segment segment;
  EXPECT_EQ(ParseSegment(bytes, false, &segment), DropReason::kNone);
  return segment.options.mptcp;
}

TEST(MptcpOptions, NewKey) {  // PROTOCOL.md 8
  MptcpOptions options;
  options.new_key = NewKey{false, {1, 2, 3, 4, 5, 6, 7, 8}};
  const std::vector<uint8_t> body = {0x90, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(Body(options), body);
  ASSERT_TRUE(Parsed(body).new_key);
  EXPECT_EQ(Parsed(body).new_key->tag, options.new_key->tag);
  EXPECT_FALSE(Parsed(body).new_key->second);
  options.new_key->second = true;
  EXPECT_EQ(Body(options)[0], 0x91);
  EXPECT_TRUE(Parsed(Body(options)).new_key->second);
  EXPECT_EQ(Parsed({0x90, 0, 1, 2, 3, 4, 5, 6, 7}).malformed, 1);
}

TEST(MptcpOptions, FailAndInfiniteMappingFitBesideTimeStamps) {  // RFC 8684 3.7
  MptcpOptions options;
  options.fail = MpFail{0x0102030405060708};
  EXPECT_EQ(Body(options), (std::vector<uint8_t>{0x60, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
  Dss dss;
  dss.has_mapping = true;
  dss.dsn_8 = false;
  dss.dsn = 0x0a0b0c0d;
  dss.ssn = 0x01020304;
  dss.checksum = 0;
  options.fail.reset();
  options.dss = dss;
  EXPECT_EQ(Body(options),
            (std::vector<uint8_t>{0x20, 0x04, 0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4, 0, 0, 0, 0}));
  options.fail = MpFail{1};
  EXPECT_LE(EncodedSize(options), 28u);
}

}  // namespace
}  // namespace mptcptls
