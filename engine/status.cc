#include "engine/status.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace mptcptls {
namespace {

using nlohmann::json;

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

const char* ModeName(Mode mode) {
  switch (mode) {
    case Mode::kTlsAuth:
      return "tls-auth";
    case Mode::kKeys:
      return "keys";
    case Mode::kTcp:
      break;
  }
  return "tcp";
}

const char* AuthName(AuthPolicy auth) {
  switch (auth) {
    case AuthPolicy::kTls:
      return "tls";
    case AuthPolicy::kKeys:
      return "keys";
    case AuthPolicy::kTcp:
      return "tcp";
    case AuthPolicy::kAuto:
      break;
  }
  return "auto";
}

const char* EndName(EndReason end) {
  switch (end) {
    case EndReason::kNone:
      return "";
    case EndReason::kClean:
      return "clean";
    case EndReason::kReset:
      return "reset";
    case EndReason::kRefused:
      return "refused";
    case EndReason::kTimedOut:
      return "timed out";
    case EndReason::kUnreachable:
      return "unreachable";
    case EndReason::kNetUnreachable:
      return "network unreachable";
    case EndReason::kNoProtocol:
      return "no such protocol";
    case EndReason::kProhibited:
      return "prohibited";
    case EndReason::kAborted:
      return "aborted";
  }
  return "";
}

std::string KeyText(const ConnectionInfo& info) {
  switch (info.key) {
    case KeyState::kPresent:
      return "present";
    case KeyState::kRefused:
      return "refused: " + info.key_reason;
    case KeyState::kNone:
      break;
  }
  return "none";
}

const char* PeerKeyText(PeerKey key) {
  switch (key) {
    case PeerKey::kHolds:
      return "confirmed";
    case PeerKey::kDiffers:
      return "differs";
    case PeerKey::kUnknown:
      break;
  }
  return "not confirmed";
}

// How a subflow was admitted: the first one proves nothing, a join that its keys are known.
const char* AuthenticatedBy(const ConnectionInfo& info, const SubflowStatus& subflow) {
  if (!subflow.joined || !subflow.authenticated) return "none";
  return info.mode == Mode::kTlsAuth ? "tls key" : "clear key";
}

json ToJson(const ConnectionInfo& info, const SubflowStatus& s) {
  const auto srtt = std::chrono::duration_cast<std::chrono::microseconds>(s.tcp.srtt).count();
  return {{"local", s.tuple.local.ToString()},
          {"remote", s.tuple.remote.ToString()},
          {"uplink", s.uplink},
          {"state", s.ended ? "gone" : TcpStateName(s.tcp.state)},
          {"joined_by", s.joined ? "mp_join" : "mp_capable"},
          {"authenticated_by", AuthenticatedBy(info, s)},
          {"backup", s.backup},
          {"stale", s.stale},
          {"bytes_sent", s.tcp.bytes_sent},
          {"bytes_received", s.tcp.bytes_received},
          {"retransmitted_bytes", s.tcp.bytes_retransmitted},
          {"srtt_us", srtt},
          {"cwnd", s.tcp.cwnd},
          {"mss", s.tcp.mss}};
}

json ToJson(const ConnectionRecord& record, bool initiator, Time now) {
  const ConnectionInfo& info = record.info;
  const bool closed = info.end != EndReason::kNone;
  json subflows = json::array();
  for (const SubflowStatus& subflow : info.subflows) subflows.push_back(ToJson(info, subflow));
  json unused = json::array();
  for (const UnusedPath& path : info.unused_paths) {
    unused.push_back({{"local", path.local.ToString()},
                      {"remote", path.remote.ToString()},
                      {"reason", path.reason}});
  }
  return {{"id", absl::StrFormat("%016x", record.id)},
          {"program", record.program.name},
          {"pid", record.program.pid},
          {"uid", record.program.uid ? json(*record.program.uid) : json(nullptr)},
          {"role", initiator ? "initiator" : "responder"},
          {"local", info.local.ToString()},
          {"remote", info.remote.ToString()},
          {"mode", ModeName(info.mode)},
          {"scheduler", info.mode == Mode::kTcp ? "" : std::string(SchedulerName(info.scheduler))},
          {"key", KeyText(info)},
          {"peer_key", PeerKeyText(info.peer_key)},
          {"keys_replaced", info.keys_replaced},
          {"state", closed           ? "closed"
                    : info.connected ? "connected"
                                     : "connecting"},
          {"end", EndName(info.end)},
          {"fallback", info.fallback},
          {"age_s", Seconds(now - record.began)},
          {"bytes_sent", info.bytes_sent},
          {"bytes_received", info.bytes_received},
          {"bytes_reinjected", info.bytes_reinjected},
          {"subflows", std::move(subflows)},
          {"unused_paths", std::move(unused)}};
}

json Connections(const std::vector<ConnectionRecord>& records, std::optional<uid_t> only,
                 Time now) {
  json list = json::array();
  for (const ConnectionRecord& record : records) {
    if (!only || record.program.uid == only)
      list.push_back(ToJson(record, record.info.initiator, now));
  }
  return list;
}

json Listeners(const Engine& engine, std::optional<uid_t> only) {
  json list = json::array();
  const auto add = [&](const Endpoint& endpoint, const Program& program, const std::string& reason,
                       const char* auth, size_t waiting, uint64_t accepted) {
    if (only && program.uid != only) return;
    list.push_back({{"address", endpoint.ToString()},
                    {"program", program.name},
                    {"pid", program.pid},
                    {"uid", program.uid ? json(*program.uid) : json(nullptr)},
                    {"captured", reason.empty()},
                    {"reason", reason},
                    {"auth", auth},
                    {"waiting", waiting},
                    {"accepted", accepted}});
  };
  for (const auto& [id, listener] : engine.listeners()) {
    const auto& options = listener->options();
    add(options.endpoint, options.program, "", AuthName(options.listen.auth), listener->waiting(),
        listener->accepted());
  }
  for (const DeclinedListener& declined : engine.declined())
    add(declined.endpoint, declined.program, declined.reason, "tcp", 0, 0);
  return list;
}

json CounterTable(const Engine& engine) {
  json table = json::object();
  const Counters& wire = engine.host()->counters();
  const Counters& local = engine.loopback()->host()->counters();
#define MPTCPTLS_COUNTER_ENTRY(name, description) table[#name] = wire.name + local.name;
  MPTCPTLS_COUNTERS(MPTCPTLS_COUNTER_ENTRY)
#undef MPTCPTLS_COUNTER_ENTRY
  table["tun_write_errors"] = engine.environment().write_errors();
  table["loopback_dropped"] = engine.loopback()->dropped();
  return table;
}

// What the configuration makes of an uplink.
std::string UseText(const Engine& engine, const UplinkAddress& uplink) {
  const auto address =
      ApplyRules(engine.config().uplinks, {uplink.address, uplink.ifname, uplink.mtu});
  if (!address) return "never";
  std::string text(UplinkUseName(address->use));
  if (address->subflows > 1) text += ", " + std::to_string(address->subflows) + " subflows";
  return text;
}

}  // namespace

std::string StatusText(const Engine& engine, std::optional<uid_t> only) {
  const Time now = engine.loop()->now();
  json uplinks = json::array();
  for (const UplinkAddress& uplink : engine.uplinks().addresses()) {
    uplinks.push_back({{"interface", uplink.ifname},
                       {"address", uplink.address.ToString()},
                       {"mtu", uplink.mtu},
                       {"running", uplink.running},
                       {"use", UseText(engine, uplink)}});
  }
  json cache = json::array();
  for (const Host::CacheEntry& entry : engine.host()->Cache(now)) {
    cache.push_back({{"local", entry.local.ToString()},
                     {"remote", entry.remote.ToString()},
                     {"capability", entry.capability},
                     {"confirms_keys", entry.confirms_keys},
                     {"expires_s", Seconds(entry.expires_in)}});
  }
  const auto& closed = engine.relays().closed();
  json status = {{"engine",
                  {{"pid", getpid()},
                   {"version", MPTCPTLS_VERSION},
                   {"uptime_s", Seconds(now - engine.began())},
                   {"installed", engine.Installed()},
                   {"problem", engine.steering_error()},
                   {"config", engine.config().file},
                   {"idle_timeout_s", Seconds(engine.config().idle_timeout)}}},
                 {"uplinks", std::move(uplinks)},
                 {"listeners", Listeners(engine, only)},
                 {"connections", Connections(engine.relays().Open(), only, now)},
                 {"closed", Connections({closed.begin(), closed.end()}, only, now)},
                 {"cache", std::move(cache)},
                 {"counters", CounterTable(engine)}};
  // Whatever bytes a name held, the text is valid.
  return status.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace mptcptls
