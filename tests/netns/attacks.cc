#include "tests/netns/attacks.h"

#include <sys/socket.h>
#include <tins/tins.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/netns/local_stranger.h"

namespace mptcptls::lab {
namespace {

constexpr uint16_t kHttps = 443;
constexpr uint8_t kReasonMptcp = 1;  // RFC 8684 3.6: "MPTCP-specific error"
constexpr uint8_t kAddressId = 9;    // one that nobody else uses
constexpr uint32_t kFirst = 100;     // the attacker's initial sequence number
constexpr int kGuesses = 300;
// A segment in the server's name waits in the queue behind the server's own, and others may have
// come between: it is numbered well ahead of them, within the client's window.
constexpr uint32_t kAhead = 16384;
constexpr std::chrono::milliseconds kOnceMore{300};

Finding Unclear(const std::string& what) { return {Outcome::kUnclear, what}; }

uint8_t ReasonOf(const TracedPacket& reset) {
  const MptcpOption* const option = reset.Find(kMpTcprst);
  return option != nullptr && option->bytes.size() >= 2 ? option->bytes[1] : 0;
}

bool HasSubflowFrom(const std::optional<ConnectionStatus>& connection, const std::string& address) {
  return connection && std::ranges::any_of(connection->subflows, [&](const SubflowStatus& s) {
           return s.remote.starts_with(address + ":");
         });
}

PairOfKeys Zeros() { return {Bytes(8), Bytes(8)}; }

// ---- Joins

// What the attacker says in his join: everything but the HMAC, and how he gets that from the
// server's nonce.
struct JoinAttempt {
  Bytes token, nonce;
  std::function<Bytes(const Bytes& server_nonce)> hmac;
};

JoinAttempt JoinUnder(const PairOfKeys& keys, const Bytes& token) {
  const Bytes nonce = RandomBytes(4);
  // RFC 8684 3.2: HMAC-A, as the client of the first handshake makes it.
  return {token, nonce, [=](const Bytes& server_nonce) {
            return First(HmacSha256(keys.a + keys.b, nonce + server_nonce), 20);
          }};
}

// The server took the join: does it send the file to the attacker? Then he goes, and what he was
// sent goes to the client.
Finding Joined(Victim& victim, Attacker& attacker, uint16_t port) {
  const auto bytes = [&] {
    size_t sum = 0;
    for (const TracedPacket& packet : attacker.Received()) {
      if (packet.destination_port == port) sum += packet.payload;
    }
    return sum;
  };
  const bool shown = Eventually(
      [&] { return HasSubflowFrom(victim.Connection(victim.server()), attacker.address()); });
  const bool sent = Eventually([&] { return bytes() > 0; });
  attacker.Send({.destination = victim.ServerAddress(),
                 .source_port = port,
                 .destination_port = kHttps,
                 .sequence = kFirst + 1,
                 .flags = Tins::TCP::RST});
  if (!shown || !sent) return Unclear("a DSS came back, but no file");
  return {Outcome::kSucceeded, "a third subflow, on which the server sends the file"};
}

Finding TryJoin(Victim& victim, Attacker& attacker, const JoinAttempt& attempt) {
  const uint16_t port = attacker.NextPort();
  const uint64_t before = Victim::Counter(victim.server(), "joins_refused_hmac");
  Attacker::Segment segment{.destination = victim.ServerAddress(),
                            .source_port = port,
                            .destination_port = kHttps,
                            .sequence = kFirst,
                            .flags = Tins::TCP::SYN,
                            .mptcp = Bytes{0x10, kAddressId} + attempt.token + attempt.nonce};
  attacker.Send(segment);
  const auto answer = attacker.Await([port](const TracedPacket& packet) {
    return packet.destination_port == port && (packet.rst || (packet.syn && packet.ack));
  });
  if (!answer) return Unclear("no answer to the SYN");
  const MptcpOption* const option = answer->Find(kMpJoin);
  if (option == nullptr || option->length() != 16) return Unclear("no SYN/ACK with MP_JOIN");
  segment.sequence = kFirst + 1;
  segment.acknowledgement = answer->sequence + 1;
  segment.flags = Tins::TCP::ACK;
  segment.mptcp = Bytes{0x10, 0} + attempt.hmac(Last(option->bytes, 4));
  attacker.Send(segment);
  const auto verdict = attacker.Await([port](const TracedPacket& packet) {
    return packet.destination_port == port &&
           (packet.rst || (!packet.syn && packet.Find(kDss) != nullptr));
  });
  if (!verdict) return Unclear("no answer to the third ACK");
  if (!verdict->rst) return Joined(victim, attacker, port);
  const uint64_t refused = Victim::Counter(victim.server(), "joins_refused_hmac") - before;
  if (ReasonOf(*verdict) != kReasonMptcp || refused != 1 ||
      HasSubflowFrom(victim.Connection(victim.server()), attacker.address())) {
    return Unclear("a RST, but not for the HMAC");
  }
  return {Outcome::kHeld, "RST, MP_TCPRST reason 1; joins_refused_hmac +1"};
}

Finding JoinWithShownKeys(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const Observation seen = victim.Seen();
  return TryJoin(victim, attacker, JoinUnder(seen.Keys(), seen.ServerToken()));
}

Finding JoinWithWrongHmac(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  return TryJoin(victim, attacker, JoinUnder(Zeros(), victim.Seen().ServerToken()));
}

// RFC 8684 3.2: the server's nonce is new in each join, so yesterday's HMAC is wrong today.
Finding ReplayedJoin(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const auto join = ObserveJoin(victim.SeenOnSecondPath());
  if (!join) return Unclear("no join was seen");
  return TryJoin(victim, attacker,
                 {join->token, join->client_nonce, [&](const Bytes&) { return join->hmac; }});
}

Finding GuessedTokens(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const uint64_t before = Victim::Counter(victim.server(), "joins_refused_token");
  std::set<uint16_t> ports;
  for (int i = 0; i < kGuesses; ++i) {
    const uint16_t port = attacker.NextPort();
    ports.insert(port);
    attacker.Send({.destination = victim.ServerAddress(),
                   .source_port = port,
                   .destination_port = kHttps,
                   .sequence = kFirst,
                   .flags = Tins::TCP::SYN,
                   .mptcp = Bytes{0x10, kAddressId} + RandomBytes(4) + RandomBytes(4)});
  }
  std::set<uint16_t> refused;
  const bool all = Eventually([&] {
    for (const TracedPacket& packet : attacker.Received()) {
      if (packet.rst && ReasonOf(packet) == kReasonMptcp && ports.contains(packet.destination_port))
        refused.insert(packet.destination_port);
    }
    return refused == ports;
  });
  const uint64_t counted = Victim::Counter(victim.server(), "joins_refused_token") - before;
  const auto connection = victim.Connection(victim.server());
  if (!all || counted != kGuesses || !connection || connection->subflows.size() != 2) {
    return Unclear(std::to_string(refused.size()) + " RSTs, joins_refused_token +" +
                   std::to_string(counted));
  }
  return {Outcome::kHeld, std::to_string(kGuesses) + " RSTs, reason 1; joins_refused_token +" +
                              std::to_string(kGuesses) + "; still two subflows"};
}

// ---- ADD_ADDR

Bytes BytesOf(const std::string& address) {
  const auto number = static_cast<uint32_t>(Tins::IPv4Address(address));  // as on the wire
  Bytes bytes(sizeof number);
  memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// The client came with a join: answers in the server's place (RFC 8684 3.2: HMAC-B), until the
// client's HMAC shows that it believes it.
Finding TakeClientIn(Victim& victim, Attacker& attacker, const TracedPacket& syn,
                     const PairOfKeys& keys) {
  const Bytes client_nonce = Last(syn.Find(kMpJoin)->bytes, 4), nonce = RandomBytes(4);
  const Bytes mac = HmacSha256(keys.b + keys.a, nonce + client_nonce);
  const Bytes expected = First(HmacSha256(keys.a + keys.b, client_nonce + nonce), 20);
  const bool believed = Eventually([&] {
    attacker.Send({.destination = victim.ClientAddress(),
                   .source_port = kHttps,
                   .destination_port = syn.source_port,
                   .sequence = kFirst,
                   .acknowledgement = syn.sequence + 1,
                   .flags = Tins::TCP::SYN | Tins::TCP::ACK,
                   .mptcp = Bytes{0x10, kAddressId} + First(mac, 8) + nonce});
    const auto third = attacker.Await(
        [&](const TracedPacket& packet) {
          const MptcpOption* const join = packet.Find(kMpJoin);
          return packet.source_port == syn.source_port && !packet.syn && join != nullptr &&
                 join->length() == 24 && Last(join->bytes, 20) == expected;
        },
        kOnceMore);
    return third.has_value();
  });
  if (!believed) return Unclear("the client came, and did not believe the SYN/ACK");
  return {Outcome::kSucceeded, "the client joins the attacker, taking him for the server"};
}

// Says in the server's name, on path 1, that the server is at the attacker's address too; `tag` is
// the option's HMAC. The links are full, so it is said until something happens.
Finding Announce(Victim& victim, Attacker& attacker, const Bytes& tag) {
  const uint64_t before = Victim::Counter(victim.client(), "add_addr_refused");
  const Observation first = victim.Seen();
  const Bytes token = first.ServerToken();
  std::optional<TracedPacket> join;
  uint64_t refused = 0;
  Eventually([&] {
    const Observation seen = victim.Seen();
    attacker.Send({.source = victim.ServerAddress(),
                   .destination = victim.ClientAddress(),
                   .source_port = kHttps,
                   .destination_port = seen.client_port,
                   .sequence = seen.server_next + kAhead,
                   .acknowledgement = seen.client_next,
                   .flags = Tins::TCP::ACK,
                   .mptcp = Bytes{0x30, kAddressId} + BytesOf(attacker.address()) + tag});
    // One of this connection, not of an earlier row's.
    join = attacker.Await(
        [&](const TracedPacket& packet) {
          const MptcpOption* const option = packet.Find(kMpJoin);
          return packet.syn && option != nullptr && option->length() == 12 &&
                 First(Last(option->bytes, 8), 4) == token;
        },
        kOnceMore);
    refused = Victim::Counter(victim.client(), "add_addr_refused") - before;
    return join || refused > 0;
  });
  if (join) return TakeClientIn(victim, attacker, *join, first.Keys());
  if (refused == 0) return Unclear("neither a join nor a refusal");
  return {Outcome::kHeld, "no join to the attacker; add_addr_refused +" + std::to_string(refused)};
}

// The tag of the server's own announcement, under the attacker's address.
Finding ReplayedAddAddr(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  return Announce(victim, attacker, Last(*victim.Seen().add_addr, 8));
}

// RFC 8684 3.4.1: rightmost 64 bits of HMAC(Key-B || Key-A, Address ID || address || port 0).
Finding AddAddrWithShownKeys(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const PairOfKeys keys = victim.Seen().Keys();
  const Bytes mac =
      HmacSha256(keys.b + keys.a, Bytes{kAddressId} + BytesOf(attacker.address()) + Bytes{0, 0});
  return Announce(victim, attacker, Last(mac, 8));
}

// The server's option as it was, from the attacker's own address to the client's port.
Finding AddAddrFromOutside(Victim& victim, Attacker& attacker) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const Observation seen = victim.Seen();
  const uint64_t before = Victim::Counter(victim.client(), "add_addr_received");
  std::optional<TracedPacket> reset;
  Eventually([&] {
    attacker.Send({.destination = victim.ClientAddress(),
                   .source_port = kHttps,
                   .destination_port = seen.client_port,
                   .sequence = seen.server_next,
                   .acknowledgement = seen.client_next,
                   .flags = Tins::TCP::ACK,
                   .mptcp = *seen.add_addr});
    reset = attacker.Await(
        [&](const TracedPacket& packet) {
          return packet.rst && packet.source_port == seen.client_port;
        },
        kOnceMore);
    return reset.has_value();
  });
  const uint64_t taken = Victim::Counter(victim.client(), "add_addr_received") - before;
  if (!reset || taken != 0) return Unclear("add_addr_received +" + std::to_string(taken));
  return {Outcome::kHeld, "RST: no such connection; add_addr_received +0"};
}

// ---- FASTCLOSE

// In the client's name: the option carries the receiver's key (RFC 8684 3.5), in TLS-auth mode a
// tag that the attacker can only guess (PROTOCOL.md 5).
Finding FastClose(Victim& victim, Attacker& attacker, uint16_t flags) {
  victim.StartDownload();
  victim.AwaitBothPaths();
  const uint64_t before = Victim::Counter(victim.server(), "fastclose_refused");
  const Observation seen = victim.Seen();
  const bool known = seen.shown_b.size() == 8;
  uint64_t refused = 0;
  const auto ended = [&] {
    const auto connection = victim.Connection(victim.server());
    return !connection || connection->closed;
  };
  Eventually([&] {
    const Observation now = victim.Seen();
    attacker.Send({.source = victim.ClientAddress(),
                   .destination = victim.ServerAddress(),
                   .source_port = seen.client_port,
                   .destination_port = kHttps,
                   .sequence = now.client_next,
                   .acknowledgement = now.server_acked,
                   .flags = flags,
                   .mptcp = Bytes{0x70, 0} + (known ? seen.shown_b : RandomBytes(8))});
    return Eventually(
        [&] {
          refused = Victim::Counter(victim.server(), "fastclose_refused") - before;
          return refused > 0 || ended();
        },
        kOnceMore);
  });
  if (refused == 0) {
    if (!ended()) return Unclear("neither an end nor a refusal");
    return {Outcome::kSucceeded, "the server ends the connection on both paths"};
  }
  if (ended()) return Unclear("refused, and yet the connection is gone");
  return {Outcome::kHeld,
          "fastclose_refused +" + std::to_string(refused) + "; the download goes on"};
}

Finding FastCloseOnAck(Victim& victim, Attacker& attacker) {
  return FastClose(victim, attacker, Tins::TCP::ACK);
}
Finding FastCloseOnReset(Victim& victim, Attacker& attacker) {
  return FastClose(victim, attacker, Tins::TCP::RST);
}

// ---- The control socket

// A user of a host gives its engine a key, for the TLS session that he saw begin.
void Inject(const Host& host, uid_t uid, const Bytes& client_random, const PairOfKeys& keys,
            bool server) {
  auto message = control::Make<control::KeyMessage>(control::Verb::kKey);
  const Bytes key = keys.a + keys.b;
  std::ranges::copy(client_random, message.client_random);
  std::ranges::copy(key, message.key);
  message.has_key = 1;
  message.end = server ? control::TlsEnd::kServer : control::TlsEnd::kClient;
  As(host, uid, [&] {
    const Descriptor socket = UnixSocket();
    if (!ConnectTo(socket.get(), EngineName()) ||
        !SendAll(socket.get(), {reinterpret_cast<const char*>(&message), sizeof message})) {
      throw std::runtime_error("the engine's control socket cannot be reached");
    }
    // When the engine hangs up, it has dealt with the key.
    shutdown(socket.get(), SHUT_WR);
    ReadToEnd(socket.get());
  });
}

// What the two ends say of their keys when this user has given them some while TLS was in the
// middle of its handshake; empty without such a moment.
std::vector<std::string> KeysGivenBy(uid_t uid, Victim& victim, const PairOfKeys& keys) {
  victim.HoldHandshake();
  victim.StartDownload();
  std::vector<std::string> states;
  if (Eventually([&] { return !victim.Seen().client_random.empty(); })) {
    for (const Host* host : {&victim.client(), &victim.server()}) {
      Inject(*host, uid, victim.Seen().client_random, keys, host == &victim.server());
      const auto connection = victim.Connection(*host);
      if (connection) states.push_back(connection->key);
    }
  }
  victim.LetHandshakeGoOn();
  return states;
}

Finding InjectedKey(Victim& victim, Attacker& attacker) {
  const PairOfKeys keys{RandomBytes(8), RandomBytes(8)};
  using States = std::vector<std::string>;
  // Else nothing would be shown by its refusal. That download is given up.
  if (KeysGivenBy(0, victim, keys) != States{"present", "present"}) {
    return Unclear("not even root's message is taken");
  }
  const States states = KeysGivenBy(kNobody, victim, keys);
  if (std::ranges::count(states, "present") > 0) {
    return {Outcome::kSucceeded, "an end takes the key"};
  }
  if (states != States{"none", "none"}) return Unclear("no connection in its handshake");
  victim.AwaitBothPaths();
  Finding join = TryJoin(victim, attacker, JoinUnder(keys, victim.Seen().ServerToken()));
  if (join.outcome == Outcome::kHeld) join.what = "neither end takes it; joins_refused_hmac +1";
  return join;
}

}  // namespace

const std::vector<Attack>& AllAttacks() {
  constexpr Outcome kHeld = Outcome::kHeld, kSucceeded = Outcome::kSucceeded;
  static const std::vector<Attack> kAll = {
      {"join with what the handshake showed", kHeld, kSucceeded, false, JoinWithShownKeys},
      {"join with a wrong HMAC", kHeld, kHeld, false, JoinWithWrongHmac},
      {"replayed join of the client", kHeld, kHeld, false, ReplayedJoin},
      {"300 guessed tokens", kHeld, kHeld, false, GuessedTokens},
      {"ADD_ADDR by what the handshake showed", kHeld, kSucceeded, false, AddAddrWithShownKeys},
      {"replayed ADD_ADDR, another address", kHeld, kHeld, false, ReplayedAddAddr},
      {"replayed ADD_ADDR, from outside", kHeld, kHeld, false, AddAddrFromOutside},
      {"forged FASTCLOSE on an ACK", kHeld, kSucceeded, true, FastCloseOnAck},
      {"forged FASTCLOSE on a RST", kHeld, kSucceeded, true, FastCloseOnReset},
      {"key by another user's control message", kHeld, std::nullopt, false, InjectedKey},
  };
  return kAll;
}

}  // namespace mptcptls::lab
