#include "tests/sim/world.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTimeToLeave = 1200s;  // TIME_WAIT, last retransmissions, orphans

IpAddress MakeAddress(Family family, uint8_t network, size_t path, uint8_t host) {
  const std::string p = std::to_string(path);
  const std::string text =
      family == Family::kV4
          ? "10." + std::to_string(network) + "." + p + "." + std::to_string(host)
          : "fd00:" + std::to_string(network) + ":" + p + "::" + std::to_string(host);
  return *IpAddress::Parse(text);
}

std::string Seconds(Time time) {
  return std::to_string(std::chrono::duration<double>(time.time_since_epoch()).count()) + " s";
}

const char* ModeName(Mode mode) {
  static constexpr const char* kNames[] = {"tls-auth", "keys", "tcp"};
  return kNames[static_cast<size_t>(mode)];
}

}  // namespace

World::World(const Scenario& scenario, uint64_t seed) : scenario_(scenario), simulator_(seed) {
  client_ = std::make_unique<SimHost>(&simulator_, "c", scenario_.client_config, 40000);
  server_ = std::make_unique<SimHost>(&simulator_, "s", scenario_.server_config, 50000);
  for (size_t i = 0; i < scenario_.paths.size(); ++i) {
    if (i == 0 || !scenario_.mesh) networks_.push_back(simulator_.AddNetwork());
    const PathPlan& path = scenario_.paths[i];
    client_->AddUplink(networks_.back(), Addresses(scenario_.mesh ? 2 : 1, i, 1), path.up,
                       path.down.value_or(path.up));
    LinkConfig perfect;
    perfect.mtu = path.up.mtu;
    perfect.offload = true;
    perfect.complete_checksums = path.up.complete_checksums;
    server_->AddUplink(networks_.back(), Addresses(scenario_.mesh ? 3 : 1, i, 2), perfect, perfect);
  }
  if (scenario_.bottleneck) {
    for (SimHost* host : {client_.get(), server_.get()}) {
      std::vector<Uplink*> behind;
      for (size_t i = 0; i < scenario_.paths.size(); ++i) behind.push_back(&host->uplink(i));
      simulator_.AddBottleneck(host->name() + "<<", *scenario_.bottleneck, behind);
    }
  }
  client_->Start();
  server_->Start();
  client_->monitor().set_one_connection(scenario_.exchanges.size() == 1);
  server_->monitor().set_one_connection(scenario_.exchanges.size() == 1);
  // Most steps only move a packet along a link. Where a host did something, packets came or went.
  simulator_.set_after_step([this, seen = std::array<uint64_t, 2>{}]() mutable {
    size_t i = 0;
    for (SimHost* host : {client_.get(), server_.get()}) {
      const Counters& c = host->host().counters();
      const uint64_t packets = c.packets_in + c.packets_out;
      if (std::exchange(seen[i++], packets) != packets) host->CheckInvariants();
    }
  });
  for (size_t i = 0; i < scenario_.exchanges.size(); ++i) {
    const uint64_t name = Mix(seed) + i;
    Pair pair;
    pair.client = std::make_unique<SimProgram>(&simulator_, "client" + std::to_string(i), name,
                                               true, scenario_.exchanges[i].client);
    pair.server = std::make_unique<SimProgram>(&simulator_, "server" + std::to_string(i), name,
                                               false, scenario_.exchanges[i].server);
    pair.client->SetPeer(pair.server.get());
    pair.server->SetPeer(pair.client.get());
    pairs_.push_back(std::move(pair));
  }
}

std::vector<IpAddress> World::Addresses(uint8_t network, size_t path, uint8_t host) const {
  std::vector<IpAddress> addresses = {MakeAddress(scenario_.family, network, path, host)};
  const Family other = scenario_.family == Family::kV4 ? Family::kV6 : Family::kV4;
  if (scenario_.paths[path].second_family) return {MakeAddress(other, network, path, host)};
  if (scenario_.dual_stack) addresses.push_back(MakeAddress(other, network, path, host));
  return addresses;
}

IpAddress World::ClientAddress(size_t path) const {
  return MakeAddress(scenario_.family, scenario_.mesh ? 2 : 1, path, 1);
}

IpAddress World::ServerAddress(size_t path) const {
  return MakeAddress(scenario_.family, scenario_.mesh ? 3 : 1, path, 2);
}

void World::Connect(size_t index) {
  Pair& pair = pairs_[index];
  ConnectOptions options = scenario_.connect;
  if (scenario_.exchanges[index].plain) options.auth = AuthPolicy::kTcp;
  Connection* connection = client_->host().Connect(simulator_.now(), Target(), options,
                                                   pair.client.get(), &pair.refusal);
  if (connection == nullptr) {
    pair.refused = true;
    return;
  }
  if (pair.client->closed()) return;
  pair.client->SetConnection(connection);
  pair.client_port = connection->local().port;
}

ConnectionObserver* World::OnAccepted(Connection& connection, Time now) {
  // A port may be used again: the newest connection is meant.
  for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
    if (pair->accepted || pair->client_port == 0 || pair->client_port != connection.remote().port) {
      continue;
    }
    pair->accepted = true;
    pair->server->Accepted(&connection, now);
    return pair->server.get();
  }
  ++strangers_;
  return nullptr;
}

bool World::AllClosed() const {
  return std::ranges::all_of(pairs_, [](const Pair& p) {
    return p.refused || (p.client->closed() && (!p.accepted || p.server->closed()));
  });
}

Time World::completed() const {
  Time last{};
  for (const Pair& pair : pairs_) {
    for (const SimProgram* p : {pair.client.get(), pair.server.get()}) {
      if (p->finished_at() != kNever) last = std::max(last, p->finished_at());
    }
  }
  return last;
}

std::vector<std::string> World::Run() {
  std::vector<std::string> failures;
  Endpoint at{ServerAddress(0), kPort};
  if (scenario_.wildcard) {
    at.address = IpAddress{};
    at.address.family = scenario_.family;
  }
  listener_ = server_->host().Listen(at, scenario_.listen, this);
  if (scenario_.prepare) scenario_.prepare(*this);
  for (size_t i = 0; i < pairs_.size(); ++i) {
    simulator_.queue().At(Time(scenario_.exchanges[i].start), [this, i] { Connect(i); });
  }
  for (const Event& event : scenario_.events) {
    simulator_.queue().At(Time(event.at), [this, &event] { event.run(*this); });
  }
  const auto started = [this] {
    return std::ranges::all_of(pairs_, [](const Pair& p) { return p.refused || p.client_port; });
  };
  simulator_.RunUntil([&] { return started() && AllClosed(); }, Time(scenario_.budget));
  CheckPrograms(&failures);
  CheckExpectation(&failures);
  if (scenario_.check) scenario_.check(*this, &failures);
  CheckNothingLeft(&failures);
  return failures;
}

void World::CheckPrograms(std::vector<std::string>* failures) {
  for (const SimHost* host : {client_.get(), server_.get()}) {
    failures->insert(failures->end(), host->violations().begin(), host->violations().end());
  }
  if (!simulator_.stuck().empty()) failures->push_back(simulator_.stuck());
  if (strangers_ > 0) failures->push_back("a connection that no client made was accepted");
  for (size_t i = 0; i < pairs_.size(); ++i) CheckPair(i, failures);
  for (const Pair& pair : pairs_) CheckDataLevel(pair, failures);
}

void World::CheckPair(size_t index, std::vector<std::string>* failures) {
  const Pair& pair = pairs_[index];
  const Expectation& expect = scenario_.expect;
  const std::string name = "exchange " + std::to_string(index) + ": ";
  if (pair.refused) {
    if (expect.client_end && expect.client_end != pair.refusal) {
      failures->push_back(name + "cannot even start: " + EndReasonName(pair.refusal));
    }
    return;
  }
  for (const SimProgram* p : {pair.client.get(), pair.server.get()}) {
    failures->insert(failures->end(), p->failures().begin(), p->failures().end());
    const bool client = p == pair.client.get();
    const auto& end = client ? expect.client_end : expect.server_end;
    if (!client && !pair.accepted && !end) continue;
    if (!p->closed()) {
      failures->push_back(name + p->name() + " is not closed after " + Seconds(simulator_.now()) +
                          " (sent " + std::to_string(p->sent()) + " of " +
                          std::to_string(p->total_to_send()) + ", received " +
                          std::to_string(p->received()) + ")");
    } else if (end && p->end() != *end) {
      failures->push_back(name + p->name() + " ended: " + EndReasonName(p->end()) +
                          ", expected: " + EndReasonName(*end));
    }
    const SimProgram* peer = client ? pair.server.get() : pair.client.get();
    if (expect.delivered && p->received() != peer->total_to_send()) {
      failures->push_back(name + p->name() + " received " + std::to_string(p->received()) + " of " +
                          std::to_string(peer->total_to_send()) + " bytes");
    }
    if (expect.mode && p->closed() && p->final_info().mode != *expect.mode) {
      failures->push_back(name + p->name() + " is in mode " + ModeName(p->final_info().mode) +
                          ", expected " + ModeName(*expect.mode));
    }
    if (expect.subflows && p->closed() && p->final_info().subflows.size() != *expect.subflows) {
      failures->push_back(name + p->name() + " had " +
                          std::to_string(p->final_info().subflows.size()) + " subflows, expected " +
                          std::to_string(*expect.subflows));
    }
  }
}

// What each end is told of the data level is what the other one is told: the same sequence numbers
// and tokens, when all is delivered and acknowledged.
void World::CheckDataLevel(const Pair& pair, std::vector<std::string>* failures) {
  const ConnectionInfo& client = pair.client->final_info();
  const ConnectionInfo& server = pair.server->final_info();
  for (const SimProgram* p : {pair.client.get(), pair.server.get()}) {
    if (!p->closed() || p->end() != EndReason::kClean || p->orphaned() ||
        p->final_info().mode == Mode::kTcp || p->final_info().fallback)
      return;
  }
  const auto same = [&](const char* what, uint64_t a, uint64_t b) {
    if (a != b)
      failures->push_back(pair.client->name() + ": " + what + " is told as " + std::to_string(a) +
                          " and as " + std::to_string(b));
  };
  same("the client's token", client.local_token, server.remote_token);
  same("the server's token", server.local_token, client.remote_token);
  for (const auto& [from, to] : {std::pair(&client, &server), std::pair(&server, &client)}) {
    same("the next sequence number", from->write_dsn, to->expected_dsn);
    same("the first unacknowledged one", from->unacknowledged_dsn, from->write_dsn);
    same("what left", from->bytes_carried, from->bytes_sent);
    same("what was acknowledged", from->bytes_acknowledged, from->bytes_sent);
    same("what was received", to->bytes_received, from->bytes_sent);
  }
}

uint64_t World::PayloadOn(size_t path) {
  return up(path).stats().payload_bytes + down(path).stats().payload_bytes;
}

uint64_t World::LostPayload() {
  uint64_t lost = 0;
  for (const auto& uplink : simulator_.uplinks()) {
    lost += uplink->up().stats().lost_payload_bytes + uplink->down().stats().lost_payload_bytes;
  }
  for (const auto& link : simulator_.bottlenecks()) lost += link->stats().lost_payload_bytes;
  return lost;
}

uint64_t World::Sum(uint64_t Counters::*counter) {
  return client_->host().counters().*counter + server_->host().counters().*counter;
}

void World::CheckExpectation(std::vector<std::string>* failures) {
  const Expectation& expect = scenario_.expect;
  if (expect.no_timeout && Sum(&Counters::rto_fired) > 0) {
    failures->push_back(std::to_string(Sum(&Counters::rto_fired)) +
                        " retransmission timeouts where SACK should repair everything");
  }
  if (expect.thrifty) {
    const uint64_t again = Sum(&Counters::bytes_retransmitted) + Sum(&Counters::bytes_reinjected);
    if (LostPayload() == 0) failures->push_back("nothing was lost: the scenario tests nothing");
    if (again >= 2 * LostPayload()) {
      failures->push_back(std::to_string(again) + " bytes sent again for " +
                          std::to_string(LostPayload()) + " lost ones");
    }
  }
  if (expect.least_share > 0) {
    uint64_t total = 0;
    for (size_t i = 0; i < scenario_.paths.size(); ++i) total += PayloadOn(i);
    for (size_t i = 0; i < scenario_.paths.size(); ++i) {
      const double share = static_cast<double>(PayloadOn(i)) / static_cast<double>(total);
      if (share < expect.least_share) {
        failures->push_back("path " + std::to_string(i) + " carried only " +
                            std::to_string(100 * share) + "% of the payload");
      }
    }
  }
  if (Sum(&Counters::bugs) > 0) failures->push_back("the stack counted a bug");
}

void World::CheckNothingLeft(std::vector<std::string>* failures) {
  const auto empty = [this] {
    return client_->host().connection_count() == 0 && server_->host().connection_count() == 0;
  };
  if (!simulator_.RunUntil(empty, simulator_.now() + kTimeToLeave)) {
    failures->push_back("connections left: " + std::to_string(client_->host().connection_count()) +
                        " on the client, " + std::to_string(server_->host().connection_count()) +
                        " on the server");
    return;
  }
  simulator_.RunFor(10s);  // what is still on the wires
  for (SimHost* host : {client_.get(), server_.get()}) {
    if (host->host().blocks_in_use() > 0) {
      failures->push_back(host->name() + ": " + std::to_string(host->host().blocks_in_use()) +
                          " blocks leaked");
    }
    if (host->NextTimer() != kNever) failures->push_back(host->name() + ": a timer is left");
  }
  for (const Pair& pair : pairs_) {
    for (const SimProgram* p : {pair.client.get(), pair.server.get()}) {
      if (p == pair.server.get() && !pair.accepted) continue;
      if (!p->closed() && !pair.refused) failures->push_back(p->name() + " never heard the end");
    }
  }
}

std::string Summary(World& world) {
  std::string out;
  for (size_t i = 0; i < world.pair_count(); ++i) {
    for (const SimProgram* p : {world.pair(i).client.get(), world.pair(i).server.get()}) {
      out += p->name() + ": sent " + std::to_string(p->sent()) + ", received " +
             std::to_string(p->received()) + ", mode " + ModeName(p->final_info().mode) + ", " +
             std::to_string(p->final_info().subflows.size()) + " subflows, end " +
             EndReasonName(p->end()) + "\n";
    }
  }
  for (size_t i = 0; i < world.scenario().paths.size(); ++i) {
    out += "path " + std::to_string(i) + ": " + std::to_string(world.PayloadOn(i)) +
           " payload bytes on the wire\n";
  }
  out += "lost " + std::to_string(world.LostPayload()) + ", retransmitted " +
         std::to_string(world.Sum(&Counters::bytes_retransmitted)) + ", reinjected " +
         std::to_string(world.Sum(&Counters::bytes_reinjected)) + ", stalls ended " +
         std::to_string(world.Sum(&Counters::stalls_ended)) + ", penalties " +
         std::to_string(world.Sum(&Counters::subflows_penalised)) + ", timeouts " +
         std::to_string(world.Sum(&Counters::rto_fired)) + ", completed at " +
         Seconds(world.completed()) + "\n";
  return out;
}

}  // namespace mptcptls::sim
