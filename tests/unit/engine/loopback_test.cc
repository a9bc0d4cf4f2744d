#include "engine/loopback.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "engine/event_loop.h"

namespace mptcptls {
namespace {

const Endpoint kServer{IpAddress::V4(0x7f000001u), 80};

// What the engine's own environment says of this host.
class Outer final : public Environment {
 public:
  void Output(const OutgoingPacket& /*packet*/) override { ++sent; }
  void Random(std::span<uint8_t> out) override {
    for (uint8_t& b : out) b = static_cast<uint8_t>(seed_ = seed_ * 1103515245u + 12345u) ^ 0x5a;
  }
  std::optional<uint32_t> RouteMtu(const IpAddress&, const IpAddress&) override { return 1500; }
  std::optional<IpAddress> PreferredSource(const IpAddress& remote) override {
    return unreachable ? std::nullopt : std::optional(remote);
  }
  std::span<const uint16_t> SourcePorts(bool /*more*/) override { return ports_; }

  int sent = 0;
  bool unreachable = false;

 private:
  uint32_t seed_ = 1;
  std::array<uint16_t, 4> ports_{50000, 50001, 50002, 50003};
};

// A program that keeps what it is sent, or refuses to read.
class Reader final : public ConnectionObserver {
 public:
  void OnConnected(Connection&, Time) override { connected = true; }
  size_t OnData(Connection&, Time, ByteSpan bytes) override {
    received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return bytes.size();
  }
  void OnPeerClosed(Connection&, Time) override { peer_closed = true; }
  void OnWritable(Connection&, Time) override {}
  void OnClosed(Connection&, Time, EndReason why) override { end = why; }

  bool connected = false, peer_closed = false;
  EndReason end = EndReason::kNone;
  std::string received;
};

class Listening final : public ListenerObserver {
 public:
  bool CanAccept() override { return true; }
  ConnectionObserver* OnAccepted(Connection& connection, Time) override {
    accepted = &connection;
    return &reader;
  }
  Connection* accepted = nullptr;
  Reader reader;
};

class LoopbackTest : public testing::Test {
 protected:
  Connection* Connect(const Endpoint& remote, ConnectOptions options = {}) {
    if (!loopback_.Admit(now_, remote, &options)) return nullptr;
    EndReason why = EndReason::kNone;
    return loopback_.host()->Connect(now_, remote, options, &client_, &why);
  }
  // Until nothing is under way, nor will be within a second.
  void Run() {
    for (;;) {
      while (loopback_.Deliver(now_)) {
      }
      const Time next = loopback_.host()->NextTimer();
      if (next > now_ + std::chrono::seconds(1)) return;
      now_ = std::max(now_, next);
      loopback_.host()->Advance(now_);
    }
  }

  std::string error_;
  std::unique_ptr<EventLoop> loop_{EventLoop::Create(&error_)};
  Dumps dumps_{loop_.get()};
  Outer outer_;
  Loopback loopback_{HostConfig{}, &outer_, &dumps_};
  Listening listening_;
  Reader client_;
  Time now_{std::chrono::seconds(1)};
};

TEST_F(LoopbackTest, CarriesAStreamBothWaysAndItsEnd) {
  loopback_.host()->Listen(kServer, {}, &listening_);
  Connection* const connection = Connect(kServer);
  ASSERT_NE(connection, nullptr);
  Run();
  ASSERT_TRUE(client_.connected);
  EXPECT_EQ(connection->local().address, kServer.address);
  const std::string request(50000, 'q'), answer(60000, 'a');
  const auto bytes = [](const std::string& text) {
    return ByteSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  ASSERT_EQ(connection->Write(now_, bytes(request)), request.size());
  Run();
  ASSERT_NE(listening_.accepted, nullptr);
  EXPECT_TRUE(listening_.reader.received == request);
  ASSERT_EQ(listening_.accepted->Write(now_, bytes(answer)), answer.size());
  listening_.accepted->Shutdown(now_);
  Run();
  EXPECT_TRUE(client_.received == answer);
  EXPECT_TRUE(client_.peer_closed);
  connection->Shutdown(now_);
  Run();
  EXPECT_EQ(listening_.reader.end, EndReason::kClean);
  EXPECT_EQ(client_.end, EndReason::kClean);
  EXPECT_EQ(outer_.sent, 0) << "it left this host";
  EXPECT_EQ(loopback_.dropped(), 0u);
}

TEST_F(LoopbackTest, HasOneSubflowWhateverAddressesThereAre) {
  ListenOptions listen;
  listen.auth = AuthPolicy::kKeys;
  loopback_.host()->Listen({IpAddress::V4(0u), 80}, listen, &listening_);
  ConnectOptions options;
  options.auth = AuthPolicy::kKeys;
  for (const uint32_t address : {0x7f000001u, 0x0a000001u, 0x7f000002u}) {
    Connection* const connection = Connect({IpAddress::V4(address), 80}, options);
    ASSERT_NE(connection, nullptr);
    Run();
    const ConnectionInfo info = connection->Info(now_);
    EXPECT_EQ(info.mode, Mode::kKeys);
    EXPECT_EQ(info.subflows.size(), 1u);
    EXPECT_TRUE(info.unused_paths.empty());
  }
}

TEST_F(LoopbackTest, AdmitsOnlyWhereSomebodyListens) {
  EXPECT_EQ(Connect(kServer), nullptr);
  loopback_.host()->Listen(kServer, {}, &listening_);
  EXPECT_EQ(Connect({kServer.address, 81}), nullptr);
  EXPECT_EQ(Connect({IpAddress::V4(0x7f000002u), 80}), nullptr);
  outer_.unreachable = true;
  EXPECT_EQ(Connect(kServer), nullptr);
  outer_.unreachable = false;
  EXPECT_NE(Connect(kServer), nullptr);
}

TEST_F(LoopbackTest, RemembersNoMoreAddressesThanItMay) {
  loopback_.host()->Listen({IpAddress::V4(0u), 80}, {}, &listening_);
  ConnectOptions options;
  size_t admitted = 0;
  for (uint32_t i = 1; i <= 2 * Loopback::kMaxAddresses; ++i) {
    options.local_address.reset();
    admitted += loopback_.Admit(now_, {IpAddress::V4(0x7f000000u + i), 80}, &options) ? 1 : 0;
  }
  EXPECT_EQ(admitted, Loopback::kMaxAddresses);
}

TEST_F(LoopbackTest, QueuesNoMoreThanItMay) {
  const std::vector<uint8_t> headers(40), payload(60000);
  const OutgoingPacket packet{.headers = headers, .payload = {payload}, .payload_pieces = 1};
  const size_t fit = Loopback::kMaxQueued / (headers.size() + payload.size() + 4);
  for (size_t i = 0; i < fit; ++i) loopback_.Output(packet);
  EXPECT_EQ(loopback_.dropped(), 0u);
  loopback_.Output(packet);
  EXPECT_EQ(loopback_.dropped(), 1u);
  EXPECT_TRUE(loopback_.Deliver(now_));
  EXPECT_FALSE(loopback_.Deliver(now_));
  loopback_.Output(packet);
  EXPECT_EQ(loopback_.dropped(), 1u);
}

}  // namespace
}  // namespace mptcptls
