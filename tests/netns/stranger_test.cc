// A stranger on the path of a live TLS-auth connection: it sees every packet, tokens included, and
// gets in nowhere (PROTOCOL.md 4).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <tins/tins.h>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/raw_peer.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kReasonMptcp = 1;  // RFC 8684 3.6: "MPTCP-specific error"

Bytes JoinSyn(const Bytes& token) {
  Bytes option = {0x10, 9};
  option.insert(option.end(), token.begin(), token.end());
  option.insert(option.end(), {1, 2, 3, 4});
  return option;
}

// A connection is open between the hosts while this lives, and its server's token is known.
class Stranger : public testing::Test {
 protected:
  Stranger()
      : nginx_(lab_, lab_.server()),
        client_capture_(lab_.client(), "l1", lab_.folder() + "/l1.pcap", "tcp port 443", 160),
        peer_(lab_.stranger(), "l1", lab_.Address(lab_.stranger(), 1, Family::kV4),
              lab_.Address(lab_.server(), 1, Family::kV4), 443, lab_.folder()) {
    for (const int link : {1, 2}) lab_.Shape(link, 20);
    sum_ = WriteRandomFile(nginx_.www() + "/file", 32 * kMiB);
    nginx_.Start(Product::Environment());
  }

  void StartDownload() {
    curl_ = StartCurl(lab_.client(),
                      {.url = UrlOf("https", lab_.Address(lab_.server(), 1, Family::kV4), "/file"),
                       .output = lab_.folder() + "/copy",
                       .ca = nginx_.certificate(),
                       .env = Product::Environment()});
  }

  // Connects as curl does, and says nothing: TLS never begins. stdin is a pipe that stays open.
  void StartSilentConnection() {
    const std::string pipe = lab_.folder() + "/silence";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    silence_ = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
    curl_ = lab_.client().Start(
        {.argv = {"curl", "-q", "-sS",
                  "telnet://" + lab_.Address(lab_.server(), 1, Family::kV4) + ":443"},
         .env = Product::Environment(),
         .stdin_file = pipe});
  }

  ~Stranger() override {
    if (silence_ >= 0) close(silence_);
  }

  // Token-B, when the SYN/ACK has been seen.
  Bytes ServerToken() {
    Bytes token;
    Eventually([&] {
      for (const TracedPacket& packet : ReadTrace(client_capture_.file())) {
        const MptcpOption* option = packet.Find(kMpCapable);
        if (!packet.syn || !packet.ack || option == nullptr || option->length() != 8) continue;
        token.assign(option->bytes.begin() + 2, option->bytes.end());
      }
      return !token.empty() || !curl_->Running();
    });
    if (token.empty()) throw std::runtime_error("no TLS-auth handshake on link 1: " + curl_->err());
    return token;
  }

  // The server's RST to this port carries MP_TCPRST with this reason.
  void ExpectRefusal(uint16_t port, uint8_t reason) {
    const auto reset = peer_.Await(port, [](const TracedPacket& packet) { return packet.rst; });
    ASSERT_TRUE(reset.has_value());
    const MptcpOption* option = reset->Find(kMpTcprst);
    ASSERT_NE(option, nullptr);
    EXPECT_EQ(option->bytes[1], reason);
  }

  void ExpectDownloadUnharmed() {
    const CurlResult result = FinishCurl(*curl_, std::chrono::seconds(60));
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(FileSha256(lab_.folder() + "/copy"), sum_);
    const auto status = Product::Status(lab_.server());
    ASSERT_TRUE(status.has_value());
    for (const ConnectionStatus& connection : status->connections) {
      for (const SubflowStatus& subflow : connection.subflows) {
        EXPECT_THAT(subflow.remote, testing::Not(testing::HasSubstr("10.9.1.3")));
      }
    }
  }

  Lab lab_{LabOptions{.middle = Middle::kBridge, .stranger = true}};
  Nginx nginx_;
  Capture client_capture_;
  RawPeer peer_;
  std::string sum_;
  std::unique_ptr<Child> curl_;
  int silence_ = -1;
};

TEST_F(Stranger, WithAWrongTokenIsRefused) {
  StartDownload();
  Bytes token = ServerToken();
  token[3] ^= 1;
  peer_.Send(
      {.source_port = 1001, .sequence = 100, .flags = Tins::TCP::SYN, .mptcp = JoinSyn(token)});
  ExpectRefusal(1001, kReasonMptcp);
  ExpectDownloadUnharmed();
}

TEST_F(Stranger, WithAWrongHmacIsRefused) {
  StartDownload();
  const Bytes token = ServerToken();
  // The key comes to the server shortly after the SYN/ACK; until then the join is parked, not
  // refused.
  peer_.Send(
      {.source_port = 1002, .sequence = 100, .flags = Tins::TCP::SYN, .mptcp = JoinSyn(token)});
  const auto answer =
      peer_.Await(1002, [](const TracedPacket& packet) { return packet.syn && packet.ack; });
  ASSERT_TRUE(answer.has_value()) << Product::Status(lab_.server())->json;
  ASSERT_NE(answer->Find(kMpJoin), nullptr);
  EXPECT_EQ(answer->Find(kMpJoin)->length(), 16u);
  Bytes third = {0x10, 0};
  third.resize(2 + 20, 0x5a);
  peer_.Send({.source_port = 1002,
              .sequence = 101,
              .acknowledgement = answer->sequence + 1,
              .flags = Tins::TCP::ACK,
              .mptcp = third});
  ExpectRefusal(1002, kReasonMptcp);
  ExpectDownloadUnharmed();
}

TEST_F(Stranger, BeforeTheKeysIsKeptWaitingAndHearsNothing) {
  StartSilentConnection();
  const Bytes token = ServerToken();
  peer_.Send(
      {.source_port = 1003, .sequence = 100, .flags = Tins::TCP::SYN, .mptcp = JoinSyn(token)});
  // Sent after it and answered: so the first was taken in, and met silence.
  Bytes wrong = token;
  wrong[0] ^= 0x80;
  peer_.Send(
      {.source_port = 1004, .sequence = 100, .flags = Tins::TCP::SYN, .mptcp = JoinSyn(wrong)});
  ExpectRefusal(1004, kReasonMptcp);
  for (const TracedPacket& packet : peer_.Received()) EXPECT_NE(packet.destination_port, 1003);
}

}  // namespace
}  // namespace mptcptls::lab
