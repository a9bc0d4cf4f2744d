// What others can do to the engine from outside: local users at its sockets, strangers on the wire,
// and its own administrator's file. Nobody's connection suffers.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <tins/tins.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/netns/lab.h"
#include "tests/netns/local_stranger.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

template <typename Message>
std::string BytesOf(const Message& message) {
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

class BadInput : public testing::Test {
 protected:
  explicit BadInput(const LabOptions& options = {})
      : lab_(options),
        nginx_(lab_, lab_.server()),
        sum_(WriteRandomFile(nginx_.www() + "/file", kMiB)) {
    nginx_.Start(Product::Environment());
  }

  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }
  CurlOptions Options(const std::string& path = "/file") const {
    return {.url = UrlOf("https", Server(), path),
            .output = lab_.folder() + "/copy",
            .ca = nginx_.certificate(),
            .env = Product::Environment()};
  }
  // With MPTCPTLS_REQUIRE as it is in Environment() curl must fail, and must not without it.
  // Returns what the library said.
  std::string FailsOnlyWhenRequired(const std::vector<std::string>& more_env = {}) {
    CurlOptions options = Options();
    options.env.insert(options.env.begin(), "MPTCPTLS_LOG=stderr");
    options.env.insert(options.env.end(), more_env.begin(), more_env.end());
    options.extra = {"-v"};  // curl tells the errno only when verbose
    const CurlResult required = RunCurl(lab_.client(), options);
    EXPECT_EQ(required.status, 7);
    EXPECT_THAT(required.error, HasSubstr("Network is down"));
    std::erase(options.env, "MPTCPTLS_REQUIRE=1");
    const CurlResult relaxed = RunCurl(lab_.client(), options);
    EXPECT_EQ(relaxed.status, 0) << relaxed.error;
    EXPECT_EQ(FileSha256(options.output), sum_);
    EXPECT_EQ(Product::EnginePid(lab_.client()), 0);
    return required.error;
  }
  std::string Fetch(const CurlOptions& options) {
    const CurlResult result = RunCurl(lab_.client(), options);
    if (result.status != 0) return result.error;
    return FileSha256(options.output) == sum_ ? "" : "the copy differs";
  }
  void StartLargeDownload() {
    for (const int link : {1, 2}) lab_.Shape(link, 50);
    large_sum_ = WriteRandomFile(nginx_.www() + "/large", 16 * kMiB);
    curl_ = StartCurl(lab_.client(), Options("/large"));
    ASSERT_TRUE(Eventually([&] { return lab_.client().Counters("l1").rx_bytes > kMiB; }))
        << curl_->err();
    engine_ = Product::EnginePid(lab_.client());
    ASSERT_GT(engine_, 0);
  }
  void ExpectDownloadUnharmed() {
    const CurlResult result = FinishCurl(*curl_, kPatience);
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(FileSha256(lab_.folder() + "/copy"), large_sum_);
    EXPECT_EQ(Product::EnginePid(lab_.client()), engine_);
  }

  Lab lab_;
  Nginx nginx_;
  std::string sum_, large_sum_;
  std::unique_ptr<Child> curl_;
  pid_t engine_ = 0;
};

// ---- The engine's name

TEST_F(BadInput, ForeignHolderOfTheNameIsNoEngine) {
  const FalseEngine false_engine(lab_.client(), kNobody, "");
  EXPECT_THAT(FailsOnlyWhenRequired(), HasSubstr("neither root nor this user"));
}

// One line says so, with both versions.
TEST_F(BadInput, EngineOfAnotherVersionIsNoEngine) {
  auto reply = control::Make<control::Reply>(control::Verb::kReply);
  reply.error = control::kErrorVersion;
  for (const uint32_t version : {control::kVersion - 1, control::kVersion + 1}) {
    reply.header.version = version;
    const FalseEngine other(lab_.client(), 0, BytesOf(reply) + std::string(version * 99, '\0'));
    const std::string says = FailsOnlyWhenRequired();
    EXPECT_THAT(says,
                HasSubstr("the engine is of another version than this library (" +
                          std::to_string(version) + ", not " + std::to_string(control::kVersion) +
                          "): nothing is captured; end "
                          "it with mptcptls down"));
    EXPECT_EQ(says.find("mptcptls["), says.rfind("mptcptls[")) << says;
  }
}

// ---- The engine's socket

int DescriptorsOf(pid_t pid) {
  int count = 0;
  DIR* const folder = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  while (folder != nullptr && readdir(folder) != nullptr) ++count;
  if (folder != nullptr) closedir(folder);
  return count;
}

std::string RandomText(std::mt19937_64* dice, size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>((*dice)());
  return text;
}

// A right header, and anything after it.
std::string RandomRequest(std::mt19937_64* dice) {
  constexpr size_t kSizes[] = {sizeof(control::ConnectRequest), sizeof(control::ListenRequest),
                               sizeof(control::KeyMessage),     sizeof(control::OptionRequest),
                               sizeof(control::ReapRequest),    sizeof(control::ResultRequest)};
  constexpr control::Verb kVerbs[] = {control::Verb::kConnect, control::Verb::kListen,
                                      control::Verb::kKey,     control::Verb::kSetOption,
                                      control::Verb::kReap,    control::Verb::kResult};
  const size_t kind = (*dice)() % std::size(kSizes);
  control::Header header;
  header.verb = kVerbs[kind];
  header.length = static_cast<uint32_t>(kSizes[kind]);
  return BytesOf(header) + RandomText(dice, kSizes[kind] - sizeof header);
}

TEST_F(BadInput, GarbageOnTheControlSocketHarmsNobody) {
  StartLargeDownload();
  const int before = DescriptorsOf(engine_);
  const uint64_t seed = 4711;
  SCOPED_TRACE("seed " + std::to_string(seed));
  As(lab_.client(), kNobody, [&] {
    std::mt19937_64 dice(seed);
    std::vector<Descriptor> silent;
    for (int i = 0; i < 600; ++i) {
      Descriptor socket = UnixSocket();
      ASSERT_TRUE(ConnectTo(socket.get(), EngineName()));
      const int attached = i % 2 == 0 ? socket.get() : -1;
      switch (i % 3) {
        case 0:
          SendAll(socket.get(), RandomText(&dice, 1 + dice() % 500), attached);
          break;
        case 1:
          SendAll(socket.get(), RandomRequest(&dice), attached);
          break;
        default:
          SendAll(socket.get(), RandomRequest(&dice).substr(0, dice() % 60), attached);
      }
      if (i % 5 == 0) silent.push_back(std::move(socket));
    }
    control::Header down;
    down.verb = control::Verb::kDown;
    down.length = sizeof down;
    const Descriptor socket = UnixSocket();
    ASSERT_TRUE(ConnectTo(socket.get(), EngineName()));
    ASSERT_TRUE(SendAll(socket.get(), BytesOf(down)));
    EXPECT_THAT(ReadToEnd(socket.get()), HasSubstr("only root"));
  });
  ExpectDownloadUnharmed();
  EXPECT_TRUE(Eventually([&] { return DescriptorsOf(engine_) <= before; }))
      << before << " before, " << DescriptorsOf(engine_) << " after";
}

// ---- Names of connections

// In a network namespace of his own (here: the server's) a user can bind the name of another's
// connection. It does not open that connection to him.
TEST_F(BadInput, ForgedNameDoesNotStandForAConnection) {
  StartLargeDownload();
  const auto names = AbstractNames(lab_.client(), "mptcptls/c");
  ASSERT_EQ(names.size(), 1u);
  std::string responder = names[0];
  responder[sizeof "mptcptls/" - 1] = 'a';
  Descriptor forged = UnixSocket();
  Descriptor accepted;
  Descriptor listener;
  As(lab_.server(), kNobody, [&] {
    // The name on one end as an initiator has it, on the other as the engine's end has it.
    forged = UnixSocket();
    listener = UnixSocket();
    ASSERT_TRUE(BindTo(forged.get(), names[0]));
    ASSERT_TRUE(BindTo(listener.get(), responder));
    ASSERT_EQ(listen(listener.get(), 1), 0);
    ASSERT_TRUE(ConnectTo(forged.get(), responder));
    accepted = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(accepted.valid());
  });
  auto request = control::Make<control::OptionRequest>(control::Verb::kGetOption);
  request.level = IPPROTO_TCP;
  request.name = TCP_INFO;
  request.value_length = sizeof(tcp_info);
  for (const int descriptor : {forged.get(), accepted.get(), listener.get()}) {
    As(lab_.client(), kNobody, [&] {
      const Descriptor socket = UnixSocket();
      ASSERT_TRUE(ConnectTo(socket.get(), EngineName()));
      ASSERT_TRUE(SendAll(socket.get(), BytesOf(request), descriptor));
      const std::string answer = ReadToEnd(socket.get());
      control::OptionReply reply;
      ASSERT_EQ(answer.size(), sizeof reply);
      memcpy(&reply, answer.data(), sizeof reply);
      EXPECT_EQ(reply.error, ENOPROTOOPT);
    });
  }
  ExpectDownloadUnharmed();
}

TEST_F(BadInput, StrangerAtTheListenerIsRefused) {
  const auto listeners = AbstractNames(lab_.server(), "mptcptls/l");
  ASSERT_EQ(listeners.size(), 4u) << "80 and 443, IPv4 and IPv6";
  As(lab_.server(), kNobody, [&] {
    for (const std::string& listener : listeners) {
      control::Name name;
      name.role = control::Role::kResponder;
      name.id = std::random_device{}();
      name.remote = {.family = 4, .reserved = 0, .port = 4711, .bytes = {192, 0, 2, 66}};
      const Descriptor socket = UnixSocket();
      ASSERT_TRUE(BindTo(socket.get(), NameOf(name)));
      ASSERT_TRUE(ConnectTo(socket.get(), listener));
      SendAll(socket.get(), "GET /forged HTTP/1.0\r\n\r\n");
      EXPECT_EQ(ReadToEnd(socket.get()), "");
    }
  });
  EXPECT_EQ(Fetch(Options()), "");
  EXPECT_THAT(nginx_.AccessLog(), AllOf(Not(HasSubstr("forged")), Not(HasSubstr("192.0.2.66"))));
}

// ---- The wire

class BadPackets : public BadInput {
 protected:
  BadPackets() : BadInput({.middle = Middle::kBridge, .stranger = true}) {}
  uint64_t Counter(const std::string& name) {
    const auto status = Product::Status(lab_.server());
    return nlohmann::json::parse(status.value().json).at("counters").at(name);
  }
  // The bytes of a segment to the server's port 443 as the stranger would send it.
  Tins::PDU::serialization_type Segment(const std::vector<uint8_t>& payload = {}) const {
    Tins::TCP tcp(443, 5555);
    tcp.flags(Tins::TCP::SYN);
    Tins::IP packet = Tins::IP(Server(), lab_.Address(lab_.stranger(), 1, Family::kV4)) / tcp /
                      Tins::RawPDU(payload);
    auto bytes = packet.serialize();
    bytes.erase(bytes.begin(), bytes.begin() + 20);
    return bytes;
  }
  void Send(const Tins::PDU::serialization_type& segment, uint8_t protocol = IPPROTO_TCP) const {
    Tins::IP packet = Tins::IP(Server(), lab_.Address(lab_.stranger(), 1, Family::kV4)) /
                      Tins::RawPDU(segment.begin(), segment.end());
    packet.protocol(protocol);
    const Host::Scope scope(lab_.stranger());
    Tins::PacketSender sender;
    sender.send(packet);
  }
};

TEST_F(BadPackets, AreCountedAndTheEngineServesOn) {
  const pid_t engine = Product::EnginePid(lab_.server());
  const uint64_t malformed = Counter("drop_malformed");
  const uint64_t checksum = Counter("drop_checksum");
  auto wrong_sum = Segment();
  wrong_sum[16] ^= 0x55;
  Send(wrong_sum);
  for (const uint8_t offset : {0, 4, 15}) {  // in words: shorter than a header, beyond the packet
    auto wrong_offset = Segment();
    wrong_offset[12] = static_cast<uint8_t>(offset << 4);
    Send(wrong_offset);
  }
  EXPECT_TRUE(Eventually([&] {
    return Counter("drop_malformed") >= malformed + 3 && Counter("drop_checksum") >= checksum + 1;
  })) << Product::Status(lab_.server())->json;
  // And anything at all behind the right ports.
  const uint64_t seed = 99;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  for (int i = 0; i < 500; ++i) {
    auto segment = Segment(std::vector<uint8_t>(dice() % 200));
    for (size_t at = 4; at < segment.size(); ++at) segment[at] = static_cast<uint8_t>(dice());
    segment.resize(4 + dice() % (segment.size() - 3));
    Send(segment);
  }
  EXPECT_EQ(Fetch(Options()), "");
  EXPECT_EQ(Product::EnginePid(lab_.server()), engine);
  EXPECT_EQ(Counter("bugs"), 0u);
}

// ---- The configuration

class BadConfiguration : public BadInput {
 protected:
  std::string Write(const std::string& text) {
    WriteFile(lab_.folder() + "/engine.toml", text);
    return lab_.folder() + "/engine.toml";
  }
  // Runs the engine by hand until it gives up; its stderr.
  std::string Refusal(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& env = {}) {
    std::vector<std::string> argv = {Product::Engine()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto engine = lab_.client().Start({.argv = argv, .env = env});
    EXPECT_EQ(engine->Wait(), 1) << engine->err();
    return engine->err();
  }
};

TEST_F(BadConfiguration, IsRefusedWithItsPlace) {
  const std::string file = Write("idle_timeout = 5\nbypas = []\n");
  EXPECT_THAT(Refusal({"--config", file}),
              AllOf(HasSubstr(file + ":2:9: "), HasSubstr("unknown key \"bypas\"")));
  EXPECT_THAT(Refusal({"--check-config"}, {"MPTCPTLS_CONFIG=" + file}), HasSubstr(file + ":2:9: "));
  EXPECT_THAT(Refusal({"--config", "/no/such/file"}), HasSubstr("/no/such/file: No such file"));
  EXPECT_THAT(Refusal({}, {"MPTCPTLS_CONFIG=/no/such/file"}), HasSubstr("correct its name"));
  EXPECT_THAT(Refusal({"--config", lab_.folder()}), HasSubstr("cannot be read"));
  const auto good = lab_.client().Start(
      {.argv = {Product::Engine(), "--config", Write("idle_timeout = 5\n"), "--check-config"}});
  EXPECT_EQ(good->Wait(), 0) << good->err();
  EXPECT_EQ(good->out(), file + " is fine\n");
}

TEST_F(BadConfiguration, MeansNoEngineForPrograms) {
  const std::string file = Write("idle_timeout = \"soon\"\n");
  EXPECT_THAT(FailsOnlyWhenRequired({"MPTCPTLS_CONFIG=" + file}),
              HasSubstr("does not start, and is not tried again for ten seconds: " + file +
                        ":1:16: a whole number"));
  EXPECT_THAT(FailsOnlyWhenRequired({"MPTCPTLS_CONFIG=/no/such/file"}),
              HasSubstr(": cannot read /no/such/file: No such file"));
}

}  // namespace
}  // namespace mptcptls::lab
