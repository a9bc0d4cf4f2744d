#include "tests/sim/link.h"

#include <algorithm>
#include <memory>

namespace mptcptls::sim {
namespace {

constexpr Duration kBoxPatience = std::chrono::milliseconds(1);

std::optional<TcpView> ViewOf(const Packet& packet) {
  return TcpView::Of({const_cast<uint8_t*>(packet.bytes.data()), packet.bytes.size()});
}

}  // namespace

Link::Link(std::string name, const LinkConfig& config, EventQueue* queue, const Rng& rng,
           Trace* trace, std::function<void(Packet)> deliver)
    : name_(std::move(name)),
      config_(config),
      queue_(queue),
      rng_(rng),
      trace_(trace),
      deliver_(std::move(deliver)) {}

void Link::Send(Packet packet) {
  if (black_hole_) return Drop(TraceEvent::kDown, packet);
  if (middleboxes_.empty()) return SendOnWire(std::move(packet));
  // A middlebox is a machine on the path: it sees what a wire carries.
  std::vector<Packet> packets = Cut(std::move(packet));
  for (Packet& p : packets) CompleteChecksum(&p);
  ThroughMiddleboxes(std::move(packets));
  ScheduleTick();
}

void Link::ThroughMiddleboxes(std::vector<Packet> packets) {
  for (const Middlebox& box : middleboxes_) {
    std::vector<Packet> next;
    for (Packet& p : packets) box(std::move(p), &next);
    packets = std::move(next);
  }
  for (Packet& p : packets) {
    if (!p.bytes.empty()) SendOnWire(std::move(p));
  }
}

// What a box holds while nothing comes any more leaves after a moment.
void Link::ScheduleTick() {
  queue_->After(kBoxPatience, [this, generation = ++tick_generation_] {
    if (generation != tick_generation_) return;
    std::vector<Packet> tick(1);
    ThroughMiddleboxes(std::move(tick));
  });
}

void Link::SendOnWire(Packet packet) {
  const auto view = ViewOf(packet);
  const size_t headers = view ? view->payload_offset() : 0;
  // FACTS.md: gso_size above what the MTU takes is lost silently, as is any other large packet.
  const size_t on_wire = packet.gso_size != 0 ? headers + packet.gso_size : packet.bytes.size();
  if (on_wire > config_.mtu) {
    ++stats_.oversize_drops;
    return Drop(TraceEvent::kOversize, packet);
  }
  std::vector<Packet> pieces;
  if (config_.offload) {
    pieces.push_back(std::move(packet));
  } else {
    pieces = Cut(std::move(packet));
  }
  for (Packet& piece : pieces) {
    if (config_.complete_checksums) CompleteChecksum(&piece);
    if (Lose(piece)) {
      Drop(TraceEvent::kLost, piece);
      continue;
    }
    if (rng_.Chance(config_.duplicate)) {
      ++stats_.duplicated;
      Transmit(piece);
    }
    Transmit(std::move(piece));
  }
}

bool Link::Lose(const Packet& packet) {
  const auto view = ViewOf(packet);
  const uint64_t n = sent_++;
  bool lost = rng_.Chance(config_.loss);
  if (view) {
    for (const LossPattern& pattern : patterns_) lost |= pattern(*view, n);
  }
  return lost;
}

void Link::Drop(TraceEvent event, const Packet& packet) {
  if (event == TraceEvent::kDown) {
    ++stats_.down_drops;
  } else if (event != TraceEvent::kOversize) {
    ++stats_.lost_packets;
    if (const auto view = ViewOf(packet)) stats_.lost_payload_bytes += view->payload().size();
  }
  trace_->Record(queue_->now(), name_, event, packet.bytes);
}

void Link::Transmit(Packet packet) {
  const Time now = queue_->now();
  Time done = now;
  if (config_.rate != 0) {
    const auto per_byte = 8e9 / static_cast<double>(config_.rate);
    const double backlog =
        busy_until_ > now ? static_cast<double>((busy_until_ - now).count()) / per_byte : 0;
    if (backlog + static_cast<double>(packet.bytes.size()) >
        static_cast<double>(config_.queue_bytes)) {
      ++stats_.queue_drops;
      return Drop(TraceEvent::kQueueFull, packet);
    }
    if (config_.mark_above != 0 && backlog > static_cast<double>(config_.mark_above)) {
      if (auto view = ViewOf(packet)) {
        view->MarkCongestion();
        ++stats_.marked;
      }
    }
    done = std::max(now, busy_until_) +
           Duration(static_cast<int64_t>(per_byte * static_cast<double>(packet.bytes.size())));
    busy_until_ = done;
  }
  ++stats_.packets;
  stats_.bytes += packet.bytes.size();
  if (const auto view = ViewOf(packet)) stats_.payload_bytes += view->payload().size();
  trace_->Record(now, name_, TraceEvent::kSent, packet.bytes);

  Time arrival = done + config_.delay;
  if (config_.jitter.count() > 0) arrival += Duration(rng_.Between(0, config_.jitter.count()));
  if (rng_.Chance(config_.reorder)) {
    ++stats_.reordered;
    arrival += config_.reorder_delay;
  } else if (config_.scatter.count() > 0) {
    arrival += Duration(rng_.Between(0, config_.scatter.count()));
    if (arrival < last_arrival_) ++stats_.reordered;
    last_arrival_ = std::max(arrival, last_arrival_);
  } else {
    arrival = std::max(arrival, last_arrival_);
    last_arrival_ = arrival;
  }
  // std::function wants something it can copy.
  auto shared = std::make_shared<Packet>(std::move(packet));
  queue_->At(arrival, [this, shared] { Arrive(std::move(*shared)); });
}

void Link::Arrive(Packet packet) {
  if (black_hole_) return Drop(TraceEvent::kDown, packet);
  if (config_.gro.count() == 0) return deliver_(std::move(packet));
  if (gro_ && Merge(&*gro_, packet)) {
    const auto view = ViewOf(*gro_);
    if (view->has(kPsh) || view->has(kFin) || view->payload().size() % gro_->gso_size != 0) {
      FlushGro();
    }
    return;
  }
  FlushGro();
  gro_ = std::move(packet);
  queue_->After(config_.gro, [this, generation = gro_generation_] {
    if (generation == gro_generation_) FlushGro();
  });
}

void Link::FlushGro() {
  ++gro_generation_;
  if (!gro_) return;
  Packet packet = std::move(*gro_);
  gro_.reset();
  deliver_(std::move(packet));
}

Link::LossPattern LoseNth(std::function<bool(const TcpView&)> which,
                          std::vector<uint64_t> numbers) {
  return [which = std::move(which), numbers = std::move(numbers), seen = uint64_t{0}](
             const TcpView& packet, uint64_t) mutable {
    return which(packet) && std::ranges::find(numbers, seen++) != numbers.end();
  };
}

bool IsSyn(const TcpView& p) { return (p.flags() & (kSyn | kAck)) == kSyn; }
bool IsSynAck(const TcpView& p) { return p.has(kSyn | kAck); }
bool IsData(const TcpView& p) { return !p.payload().empty(); }
bool IsPureAck(const TcpView& p) {
  return p.payload().empty() && (p.flags() & (kSyn | kFin | kRst)) == 0;
}
bool IsFin(const TcpView& p) { return p.has(kFin); }

}  // namespace mptcptls::sim
