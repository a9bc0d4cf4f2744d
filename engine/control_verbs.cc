#include "engine/control_verbs.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "engine/addresses.h"
#include "engine/kernel_info.h"
#include "engine/mptcp_answer.h"
#include "engine/scheduler_choice.h"
#include "engine/socket_options.h"
#include "engine/status.h"
#include "engine/stream_numbers.h"
#include "engine/tcp_info.h"
#include "engine/unix_socket.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxStatus = 64u << 20;

// Text that came over the socket: bounded, and nothing that a terminal would obey.
template <size_t N>
std::string PlainText(const char (&text)[N]) {
  std::string plain(text, strnlen(text, N));
  for (char& c : plain) {
    if (c < ' ' || c > '~') c = '?';
  }
  return plain;
}

int IntOption(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

// MPTCP's, too: the program asked for what it gets.
bool IsTcpSocket(int fd) {
  const int domain = IntOption(fd, SOL_SOCKET, SO_DOMAIN);
  const int protocol = IntOption(fd, SOL_SOCKET, SO_PROTOCOL);
  return (domain == AF_INET || domain == AF_INET6) &&
         (protocol == IPPROTO_TCP || protocol == kernel::kIpprotoMptcp);
}

bool Listens(int fd) { return IntOption(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0; }

// What the program asked for that the stack would not do; empty when nothing.
std::string ForeignWish(int fd) {
  std::array<char, 16> device{};
  socklen_t length = device.size();
  if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.data(), &length) == 0 && length > 0 &&
      device[0] != 0)
    return "the socket is bound to a device (SO_BINDTODEVICE)";
  if (IntOption(fd, SOL_SOCKET, SO_MARK) > 0) return "the socket has a mark (SO_MARK)";
  // The program would wait for notifications that never come.
  if (IntOption(fd, SOL_SOCKET, SO_ZEROCOPY) > 0)
    return "the socket asks for notifications (SO_ZEROCOPY)";
  return "";
}

AuthPolicy ToPolicy(control::Auth auth) {
  switch (auth) {
    case control::Auth::kTls:
      return AuthPolicy::kTls;
    case control::Auth::kKeys:
      return AuthPolicy::kKeys;
    case control::Auth::kTcp:
      return AuthPolicy::kTcp;
    case control::Auth::kAuto:
      break;
  }
  return AuthPolicy::kAuto;
}

AuthPolicy PolicyFor(const Config& config, const Endpoint& endpoint, bool listen,
                     const std::string& program, control::Auth auth, uint8_t flags) {
  if ((flags & control::kFlagAuthGiven) != 0) return ToPolicy(auth);
  return config.AuthFor(endpoint, listen, program).value_or(AuthPolicy::kAuto);
}

void AnswerConnect(ControlPeer& peer, int32_t error, const std::string& reason) {
  auto reply = control::Make<control::ConnectReply>(control::Verb::kReply);
  reply.error = error;
  reason.copy(reply.reason, sizeof reply.reason - 1);
  peer.Send(&reply, sizeof reply);
}

}  // namespace

void ControlVerbs::OnRequest(ControlPeer& peer, ControlMessage& message) {
  switch (message.verb()) {
    case control::Verb::kConnect:
      return Connect(peer, message);
    case control::Verb::kListen:
      return Listen(peer, message);
    case control::Verb::kKey:
      return TakeKey(peer, message);
    case control::Verb::kSecret:
      return TakeSecret(peer, message);
    case control::Verb::kResult:
      return Result(peer, message);
    case control::Verb::kGetOption:
      return GetOption(peer, message);
    case control::Verb::kSetOption:
      return SetOption(peer, message);
    case control::Verb::kMptcp:
      return Mptcp(peer, message);
    case control::Verb::kReap:
      return Reap(peer, message);
    case control::Verb::kStatus:
      return Status(peer, message);
    case control::Verb::kDump:
      return Dump(peer, message);
    case control::Verb::kDown:
      return Down(peer, message);
    case control::Verb::kForget:
      return Forget(peer, message);
    case control::Verb::kReply:
    case control::Verb::kPending:
      break;
  }
}

// ---- connect()

void ControlVerbs::Connect(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::ConnectRequest>();
  const auto remote = ToEndpoint(request.remote);
  if (!remote || remote->port == 0 || !IsTcpSocket(message.descriptor.get()) ||
      Listens(message.descriptor.get()))
    return AnswerConnect(peer, control::kErrorMalformed, "no TCP socket, or no destination");
  const Config& config = engine_->config();
  const bool local = engine_->uplinks().IsLocalAddress(remote->address);
  if (local && (request.flags & control::kFlagLocal) == 0)
    return AnswerConnect(peer, control::kErrorBypass, "an address of this host");
  const std::string program = PlainText(request.program);
  const std::string bypass = config.BypassReason(*remote, false, program);
  if (!bypass.empty()) return AnswerConnect(peer, control::kErrorBypass, bypass);
  const std::string wish = ForeignWish(message.descriptor.get());
  if (!wish.empty()) return AnswerConnect(peer, control::kErrorDeclined, wish);
  const auto bound = LocalEndpoint(message.descriptor.get());  // not as the request says
  // With SO_REUSEADDR another user's server may come to listen on a port that is only bound; all
  // that is sent to it would come to us.
  if (bound && bound->port != 0 && peer.credentials().uid != 0)
    return AnswerConnect(peer, control::kErrorDeclined,
                         "the port was bound by an unprivileged program");

  ConnectOptions options;
  options.auth = PolicyFor(config, *remote, false, program, request.auth, request.flags);
  options.scheduler = ChooseScheduler(config, *remote, false, program, request.scheduler);
  options.tls_hooked = (request.flags & control::kFlagTlsHooked) != 0;
  options.clear_port = config.IsClearPort(remote->port);
  options.syn_retries = SynRetries(message.descriptor.get());
  options.stream = ToStreamOptions(message.descriptor.get());
  if (bound && bound->port != 0) options.local_port = bound->port;
  if (bound && !bound->address.IsUnspecified()) options.local_address = bound->address;
  if (local && !engine_->loopback()->Admit(engine_->loop()->now(), *remote, &options))
    return AnswerConnect(peer, control::kErrorBypass,
                         "an address of this host where nobody captured listens");
  // Packets of this host need no steering.
  const uint16_t steered_port = local ? uint16_t{0} : options.local_port;
  if (steered_port != 0 && !engine_->TakeBoundPort(steered_port))
    return AnswerConnect(peer, control::kErrorDeclined, engine_->steering_error());

  Relay* const relay = engine_->relays()->Make({program, request.pid, peer.credentials().uid});
  EndReason why = EndReason::kNone;
  Host* const host = local ? engine_->loopback()->host() : engine_->host();
  Connection* const connection =
      host->Connect(engine_->loop()->now(), *remote, options, relay, &why);
  relay->Attach(connection);
  if (connection == nullptr) {
    const bool routed = engine_->uplinks().PreferredSource(remote->address).has_value();
    AnswerConnect(peer, routed ? control::kErrorDeclined : ENETUNREACH,
                  "no uplink leads to " + remote->address.ToString() +
                      ", or a limit is reached: see mptcptls status");
    return relay->Cancel(steered_port);
  }
  auto reply = control::Make<control::ConnectReply>(control::Verb::kReply);
  reply.id = relay->id();
  reply.local = ToControl(connection->local());
  peer.Send(&reply, sizeof reply);
  relay->TakeInitiator(peer.TakeSocket(), std::move(message.descriptor), steered_port);
}

// ---- listen()

void ControlVerbs::Listen(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::ListenRequest>();
  CapturedListener::Options options;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  static_assert(control::kNameLength < sizeof name.sun_path);
  const bool named = request.name_length == control::kNameLength;
  if (named) memcpy(name.sun_path + 1, request.name, request.name_length);
  const auto bound = LocalEndpoint(message.descriptor.get());
  if (!named ||
      !control::DecodeName(name, offsetof(sockaddr_un, sun_path) + 1 + request.name_length,
                           &options.name) ||
      options.name.role != control::Role::kListener || options.name.id == 0 || !bound ||
      bound->port == 0 || !IsTcpSocket(message.descriptor.get()))
    return peer.Answer(control::kErrorMalformed, "no TCP socket, or no listener's name");
  const Config& config = engine_->config();
  const std::string program = PlainText(request.program);
  const std::string bypass = config.BypassReason(*bound, true, program);
  if (!bypass.empty()) return peer.Answer(control::kErrorBypass, bypass);
  // Its former program, if it had one, was given it by the same parent.
  options.inherited = Listens(message.descriptor.get());
  if (options.inherited) engine_->ReleaseDead(bound->port);
  options.endpoint = *bound;
  options.backlog = request.backlog;
  options.program = {program, request.pid, peer.credentials().uid};
  options.listen.auth = PolicyFor(config, *bound, true, program, request.auth, request.flags);
  options.listen.scheduler = ChooseScheduler(config, *bound, true, program, request.scheduler);
  options.listen.tls_hooked = (request.flags & control::kFlagTlsHooked) != 0;
  options.listen.clear = config.IsClearPort(bound->port);
  options.listen.v6only = IntOption(message.descriptor.get(), IPPROTO_IPV6, IPV6_V6ONLY) != 0;

  std::string reason = ForeignWish(message.descriptor.get());
  if (reason.empty() && !bound->address.IsLoopback() && !config.ListenAllowed(*bound)) {
    reason = InputFirewallReason();
    // ARCHITECTURE.md 8: captured packets would pass the firewall by.
    if (!reason.empty())
      reason += "; to capture it all the same add it to listen_allow in /etc/mptcptls.toml";
  }
  if (reason.empty() && options.inherited) reason = engine_->SpareConnections(bound->port);
  if (!reason.empty()) {
    engine_->Decline({*bound, options.program, reason});
    return peer.Answer(control::kErrorDeclined, reason);
  }
  const int error = engine_->AddListener(options, std::move(message.descriptor));
  peer.Answer(error, error == 0 ? "" : strerror(error));
}

void ControlVerbs::Reap(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::ReapRequest>();
  const bool released = engine_->ReleaseDead(request.address.port);
  peer.Answer(released ? 0 : EADDRINUSE, "");
}

// ---- Keys

uint64_t ControlVerbs::IdOf(int descriptor) {
  // A name alone proves nothing: in a network namespace of his own anybody can bind any. Only a
  // socket that we accepted or connected has this process at its other end.
  const auto other_end = PeerCredentials(descriptor);
  if (!other_end || other_end->pid != getpid() || other_end->uid != geteuid()) return 0;
  sockaddr_un address{};
  socklen_t length = sizeof address;
  control::Name name;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
      control::DecodeName(address, length, &name) && name.role == control::Role::kInitiator)
    return name.id;
  length = sizeof address;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
      control::DecodeName(address, length, &name) && name.role == control::Role::kResponder)
    return name.id;
  return 0;
}

Relay* ControlVerbs::RelayOf(int descriptor) const {
  return engine_->relays()->Find(IdOf(descriptor));
}

void ControlVerbs::TakeKey(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::KeyMessage>();
  ClientRandom random;
  memcpy(random.data(), request.client_random, random.size());
  Relay* relay = RelayOf(message.descriptor.get());
  if (relay == nullptr) {
    relay = engine_->relays()->FindByRandom(random, peer.credentials().uid, request.end);
  } else if (request.later == 0 && !engine_->relays()->MayBeOf(relay->id(), random)) {
    // A renegotiation's ClientHello is encrypted; any other one is within another session.
    return spdlog::debug("a key of a TLS session within that of the connection, from uid {}",
                         peer.credentials().uid);
  }
  if (relay == nullptr || relay->connection() == nullptr) {
    return spdlog::debug("a key for no connection, from uid {}", peer.credentials().uid);
  }
  // The program's Finished leaves before anything that the key lets us do (PROTOCOL.md 3).
  relay->PumpFromProgram();
  Connection* const connection = relay->connection();
  if (connection == nullptr) return;
  const Time now = engine_->loop()->now();
  const bool has_key = request.has_key != 0, later = request.later != 0;
  if (has_key && later)
    connection->ReplaceKeys(now, ConnectionKeys::FromExporter(ByteSpan(request.key, 16)));
  else if (has_key)
    connection->SetKeys(now, ConnectionKeys::FromExporter(ByteSpan(request.key, 16)));
  else if (!later)
    connection->RefuseKeys(now, NoKeyReason(request.why_not));
}

// Of a key log, whose reader has no descriptor of the connection.
void ControlVerbs::TakeSecret(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::SecretMessage>();
  ClientRandom random;
  memcpy(random.data(), request.client_random, random.size());
  Relay* const relay =
      engine_->relays()->FindByRandom(random, peer.credentials().uid, control::TlsEnd::kUnknown);
  if (relay == nullptr)
    return spdlog::debug("a secret for no connection, from uid {}", peer.credentials().uid);
  if (!relay->TakeSecret(request))
    spdlog::warn("a secret of a key log that is none, from uid {}", peer.credentials().uid);
}

// ---- Questions

void ControlVerbs::Result(ControlPeer& peer, ControlMessage& message) {
  peer.Answer(engine_->relays()->Result(message.As<control::ResultRequest>().id), "");
}

// A listener has the options of the program's own TCP socket.
CapturedListener* ControlVerbs::ListenerOf(int descriptor) const {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  control::Name name;
  // Those that it accepts have its name, too.
  if (IntOption(descriptor, SOL_SOCKET, SO_ACCEPTCONN) != 1 ||
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      !control::DecodeName(address, length, &name))
    return nullptr;
  const auto it = engine_->listeners().find(name.id);
  // As above; of a listening socket the kernel tells who made it listen.
  const auto owner = PeerCredentials(descriptor);
  if (it == engine_->listeners().end() || !owner || it->second->options().program.uid != owner->uid)
    return nullptr;
  return it->second.get();
}

// Where the options of a captured descriptor are; -1 for what is none.
int ControlVerbs::OptionsOf(int descriptor) const {
  if (Relay* const relay = RelayOf(descriptor)) return relay->kernel_socket();
  const CapturedListener* const listener = ListenerOf(descriptor);
  return listener == nullptr ? -1 : listener->kernel_socket();
}

std::optional<ConnectionInfo> ControlVerbs::InfoOf(int descriptor) const {
  const uint64_t id = IdOf(descriptor);
  if (id == 0) return std::nullopt;
  const Relay* const relay = engine_->relays()->Find(id);
  if (relay != nullptr && relay->connection() != nullptr) {
    ConnectionInfo info = relay->connection()->Info(engine_->loop()->now());
    // The program's connect() is decided later than the handshake.
    if (relay->pending()) info.connected = false;
    return info;
  }
  const auto& closed = engine_->relays()->closed();
  const auto record = std::ranges::find(closed, id, &ConnectionRecord::id);
  return record == closed.end() ? std::nullopt : std::optional(record->info);
}

void ControlVerbs::GetOption(ControlPeer& peer, ControlMessage& message) {
  const auto& request = message.As<control::OptionRequest>();
  const int fd = message.descriptor.get();
  Relay* const relay = RelayOf(fd);
  control::OptionReply reply;
  const Time now = engine_->loop()->now();
  if (request.level == control::kLevelIoctl) {
    if (relay != nullptr) relay->PumpFromProgram();
    reply = NumberReply(BytesOnTheirWay(relay, request.name, now));
  } else if (relay != nullptr && request.level == IPPROTO_TCP && request.name == TCP_INFO) {
    reply = TcpInfoOf(*relay, now);
  } else if (const CapturedListener* const listener = ListenerOf(fd);
             listener != nullptr && request.level == IPPROTO_TCP && request.name == TCP_INFO) {
    reply = ToReply(ListenerTcpInfo(listener->waiting(), listener->options().backlog));
  } else if (request.level == SOL_SOCKET && request.name == SO_PROTOCOL) {
    const auto info = InfoOf(fd);
    reply = NumberReply(info && !BeganAsMptcp(*info) ? IPPROTO_TCP : kernel::kIpprotoMptcp);
  } else {
    reply = GetSocketOption(OptionsOf(fd), request);
    // Where the kernel says that its socket has none, as it is not connected.
    const bool of_socket = reply.error == 0 || reply.error == ENOTCONN;
    if (const auto number = of_socket ? NumberOfPath(relay, request, now) : std::nullopt)
      reply = NumberReply(*number);
  }
  peer.Send(&reply, sizeof reply);
}

void ControlVerbs::Mptcp(ControlPeer& peer, ControlMessage& message) {
  const uint8_t flags = message.As<control::MptcpRequest>().flags;
  const int fd = message.descriptor.get();
  MptcpMessage answer = MptcpRefusal();
  if (const auto info = InfoOf(fd))
    answer = MptcpAnswer(*info, flags, engine_->loop()->now());
  else if (const CapturedListener* const listener = ListenerOf(fd))
    answer = MptcpListenerAnswer(listener->options().endpoint,
                                 ListenerTcpInfo(listener->waiting(), listener->options().backlog),
                                 flags);
  peer.Send(answer.data(), answer.size());
}

void ControlVerbs::SetOption(ControlPeer& peer, ControlMessage& message) {
  const int fd = message.descriptor.get();
  Relay* const relay = RelayOf(fd);
  // What was written before is under the options of before.
  if (relay != nullptr) relay->PumpFromProgram();
  const auto reply = SetSocketOption(OptionsOf(fd), message.As<control::OptionRequest>());
  if (relay != nullptr && relay->connection() != nullptr && reply.error == 0) {
    relay->connection()->SetOptions(engine_->loop()->now(),
                                    ToStreamOptions(relay->kernel_socket()));
  }
  if (CapturedListener* const listener = ListenerOf(fd)) listener->RereadOptions();
  peer.Send(&reply, sizeof reply);
}

void ControlVerbs::Status(ControlPeer& peer, ControlMessage& /*message*/) {
  const uid_t asker = peer.credentials().uid;
  const std::string text =
      StatusText(*engine_, asker == 0 ? std::nullopt : std::optional<uid_t>(asker));
  if (text.size() > kMaxStatus) return peer.Answer(EMSGSIZE, "there is too much to tell");
  // The answer goes out at once: its reader may be slow, the loop never waits.
  const int room = static_cast<int>(2 * text.size() + (1u << 16));
  setsockopt(peer.socket(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  peer.Answer(0, "", static_cast<uint32_t>(text.size()));
  peer.Send(text.data(), text.size());
}

void ControlVerbs::Dump(ControlPeer& peer, ControlMessage& message) {
  if (peer.credentials().uid != 0)
    return peer.Answer(EPERM, "only root may see all packets: run it as root");
  Descriptor file = std::move(message.descriptor);
  if (!file.valid()) return peer.Answer(control::kErrorMalformed, "no file came along");
  peer.Answer(0, "");
  // Ended by Dumps when it cannot be; the asker sees the end of the conversation.
  engine_->dumps()->Add(peer.TakeSocket(), std::move(file));
}

void ControlVerbs::Down(ControlPeer& peer, ControlMessage& /*message*/) {
  const uid_t asker = peer.credentials().uid;
  if (asker != 0 && asker != geteuid())
    return peer.Answer(EPERM, "only root or the engine's user may end it");
  spdlog::info("told to end by pid {}", peer.credentials().pid);
  peer.Answer(0, "");
  engine_->Stop();
}

void ControlVerbs::Forget(ControlPeer& peer, ControlMessage& message) {
  const uid_t asker = peer.credentials().uid;
  if (asker != 0 && asker != geteuid())
    return peer.Answer(EPERM, "only root or the engine's user may clear the cache");
  const control::Address& address = message.As<control::ForgetRequest>().destination;
  const auto destination = ToEndpoint(address);
  if (address.family != 0 && !destination)
    return peer.Answer(control::kErrorMalformed, "no destination");
  const size_t count = engine_->host()->ClearCache(destination);
  peer.Answer(
      0, "forgotten: " + std::to_string(count) + (count == 1 ? " destination" : " destinations"));
}

}  // namespace mptcptls
