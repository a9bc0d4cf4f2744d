#include "engine/server_hello.h"

#include <algorithm>
#include <cstring>

namespace mptcptls {
namespace {

constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kServerHello = 2;
constexpr uint16_t kExtendedMasterSecret = 23;  // RFC 7627 5.1
constexpr uint16_t kSupportedVersions = 43;     // RFC 8446 4.2.1

// Takes from the front; after one failure nothing more is taken.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}

  ByteSpan Take(size_t size) {
    if (size > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const ByteSpan taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  uint8_t Take8() {
    const ByteSpan one = Take(1);
    return one.empty() ? uint8_t{0} : one[0];
  }
  uint16_t Take16() {
    const ByteSpan two = Take(2);
    return two.empty() ? uint16_t{0} : static_cast<uint16_t>(two[0] << 8 | two[1]);
  }
  bool empty() const { return bytes_.empty(); }
  bool failed() const { return failed_; }

 private:
  ByteSpan bytes_;
  bool failed_ = false;
};

}  // namespace

std::optional<ServerHello> ParseServerHello(ByteSpan body) {
  ServerHello hello;
  Reader reader(body);
  hello.version = reader.Take16();
  const ByteSpan random = reader.Take(hello.random.size());
  const size_t session_id = reader.Take8();
  if (session_id > 32) return std::nullopt;
  reader.Take(session_id);
  hello.cipher_suite = reader.Take16();
  reader.Take8();  // compression
  if (reader.failed()) return std::nullopt;
  std::copy(random.begin(), random.end(), hello.random.begin());
  if (reader.empty()) return hello;  // without extensions
  Reader extensions(reader.Take(reader.Take16()));
  if (reader.failed() || !reader.empty()) return std::nullopt;
  while (!extensions.empty()) {
    const uint16_t type = extensions.Take16();
    Reader content(extensions.Take(extensions.Take16()));
    if (extensions.failed()) return std::nullopt;
    if (type == kExtendedMasterSecret) hello.extended_master_secret = true;
    if (type != kSupportedVersions) continue;
    hello.version = content.Take16();
    if (content.failed() || !content.empty()) return std::nullopt;
  }
  return hello;
}

void ServerHelloFinder::GiveUp() {
  done_ = true;
  message_ = {};
}

void ServerHelloFinder::Feed(ByteSpan bytes) {
  while (!done_ && !bytes.empty())
    bytes = bytes.subspan(payload_left_ == 0 ? TakeRecordHeader(bytes) : TakePayload(bytes));
}

size_t ServerHelloFinder::TakeRecordHeader(ByteSpan bytes) {
  const size_t taken = std::min(bytes.size(), kRecordHeader - record_have_);
  memcpy(record_.data() + record_have_, bytes.data(), taken);
  record_have_ += taken;
  if (record_have_ < kRecordHeader) return taken;
  record_have_ = 0;
  payload_left_ = static_cast<size_t>(record_[3] << 8 | record_[4]);
  // An alert, or no TLS at all. No record of a handshake is empty (RFC 8446 5.1).
  if (record_[0] != kHandshakeRecord || record_[1] != 3 || payload_left_ == 0) GiveUp();
  return taken;
}

size_t ServerHelloFinder::TakePayload(ByteSpan bytes) {
  const size_t taken = std::min(bytes.size(), payload_left_);
  payload_left_ -= taken;
  const size_t room = kMessageHeader + kMaxMessage - message_.size();
  message_.insert(message_.end(), bytes.begin(),
                  bytes.begin() + static_cast<ptrdiff_t>(std::min(taken, room)));
  if (message_[0] != kServerHello) {
    GiveUp();
    return taken;
  }
  if (message_.size() < kMessageHeader) return taken;
  const size_t length =
      static_cast<size_t>(message_[1]) << 16 | static_cast<size_t>(message_[2]) << 8 | message_[3];
  if (length > kMaxMessage) {
    GiveUp();
    return taken;
  }
  if (message_.size() < kMessageHeader + length) return taken;
  hello_ = ParseServerHello(ByteSpan(message_).subspan(kMessageHeader, length));
  GiveUp();
  return taken;
}

}  // namespace mptcptls
