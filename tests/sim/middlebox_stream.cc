// Middleboxes that keep something between packets: other boundaries, another order, other ports.
#include <algorithm>
#include <deque>
#include <optional>

#include "tests/sim/middlebox.h"

namespace mptcptls::sim {
namespace {

constexpr uint8_t kMptcp = 30;

bool IsStream(const TcpView& p) { return !p.payload().empty() && (p.flags() & (kSyn | kRst)) == 0; }

bool SameMptcp(const TcpView& a, const TcpView& b) {
  return std::ranges::equal(a.FindOption(kMptcp), b.FindOption(kMptcp));
}

// The payload bytes [begin, end) of a packet as a packet of their own. FIN and PSH go with the
// last.
Packet Part(const Packet& whole, size_t begin, size_t end) {
  Packet part = whole;
  auto view = TcpView::Of(part.bytes);
  const auto payload = static_cast<long>(view->payload_offset());
  const bool last = end == view->payload().size();
  view->set_seq(view->seq() + static_cast<uint32_t>(begin));
  if (!last) view->set_flags(view->flags() & static_cast<uint8_t>(~(kFin | kPsh)));
  part.bytes.erase(part.bytes.begin() + payload + static_cast<long>(end), part.bytes.end());
  part.bytes.erase(part.bytes.begin() + payload,
                   part.bytes.begin() + payload + static_cast<long>(begin));
  Seal(&part);
  return part;
}

// Emits whole pieces of `size`, and the rest too when `all`; what is left stays in `held`.
void EmitPieces(std::optional<Packet>* held, size_t size, bool all, std::vector<Packet>* out) {
  const size_t total = TcpView::Of((*held)->bytes)->payload().size();
  size_t at = 0;
  for (; at < total && (all || total - at >= size); at += std::min(size, total - at)) {
    out->push_back(Part(**held, at, std::min(at + size, total)));
  }
  if (at >= total) {
    held->reset();
  } else if (at > 0) {
    *held = Part(**held, at, total);
  }
}

bool Continues(const Packet& held, const TcpView& next) {
  Packet copy = held;
  const auto first = TcpView::Of(copy.bytes);
  return first->tuple() == next.tuple() && !first->has(kFin) &&
         first->seq() + first->payload().size() == next.seq() && SameMptcp(*first, next);
}

void Append(Packet* held, const TcpView& next) {
  const auto first = TcpView::Of(held->bytes);
  const size_t flags_at = first->tcp_offset() + 13;
  held->bytes.insert(held->bytes.end(), next.payload().begin(), next.payload().end());
  held->bytes[flags_at] |= next.flags();
  Seal(held);
}

}  // namespace

Middlebox Resegment(size_t size) {
  auto held = std::make_shared<std::optional<Packet>>();
  return [held, size](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (!view || !IsStream(*view)) {
      if (*held) EmitPieces(held.get(), size, true, out);
      out->push_back(std::move(packet));
      return;
    }
    const bool pushed = (view->flags() & (kPsh | kFin | kUrg)) != 0;
    if (*held && Continues(**held, *view)) {
      Append(&**held, *view);
    } else {
      if (*held) EmitPieces(held.get(), size, true, out);
      *held = std::move(packet);
    }
    EmitPieces(held.get(), size, pushed, out);
  };
}

namespace {

// Packets that others overtake: each leaves when its count has passed.
struct Overtaken {
  struct Entry {
    Packet packet;
    uint64_t left;
  };
  uint64_t seen = 0;
  std::deque<Entry> entries;

  void Pass(bool all, std::vector<Packet>* out) {
    for (Entry& e : entries) e.left = all ? 0 : e.left - 1;
    while (!entries.empty() && entries.front().left == 0) {
      out->push_back(std::move(entries.front().packet));
      entries.pop_front();
    }
  }
};

}  // namespace

Middlebox Reorder(uint64_t n, uint64_t by) {
  auto state = std::make_shared<Overtaken>();
  return [state, n, by](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && IsStream(*view) && ++state->seen % n == 0) {
      state->entries.push_back({std::move(packet), by});
      return;
    }
    out->push_back(std::move(packet));
    state->Pass(!view, out);
  };
}

Middlebox Duplicate(uint64_t n, uint64_t late) {
  auto state = std::make_shared<Overtaken>();
  return [state, n, late](Packet packet, std::vector<Packet>* out) {
    const bool tcp = TcpView::Of(packet.bytes).has_value();
    out->push_back(packet);
    state->Pass(!tcp, out);
    if (tcp && ++state->seen % n == 0) state->entries.push_back({std::move(packet), late});
    if (late == 0) state->Pass(true, out);
  };
}

PortNat::PortNat() : table_(std::make_shared<Table>()) {}

uint16_t PortNat::Map(Table* table, const FourTuple& flow, bool opening) {
  const auto known = table->outside.find(flow);
  // A new connection from a port that was used before goes by its own port: its program is found by
  // it.
  if (known != table->outside.end() && (!opening || known->second == flow.local.port)) {
    return known->second;
  }
  FourTuple seen = flow;
  // A flow that was there before keeps nothing: its old mapping is what was forgotten.
  if (!opening) seen.local.port = table->next++;
  while (table->inside.contains(seen)) seen.local.port = table->next++;
  table->outside[flow] = seen.local.port;
  table->inside[seen] = flow.local.port;
  return seen.local.port;
}

Middlebox PortNat::outbound() const {
  return [table = table_](Packet packet, std::vector<Packet>* out) {
    if (auto view = TcpView::Of(packet.bytes)) {
      const bool opening = (view->flags() & (kSyn | kAck)) == kSyn;
      view->set_source_port(Map(table.get(), view->tuple(), opening));
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

Middlebox PortNat::inbound() const {
  return [table = table_](Packet packet, std::vector<Packet>* out) {
    if (auto view = TcpView::Of(packet.bytes)) {
      const FourTuple arriving = view->tuple();
      const auto known = table->inside.find({arriving.remote, arriving.local});
      if (known == table->inside.end()) return;
      view->set_destination_port(known->second);
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

void PortNat::Rebind() {
  table_->outside.clear();
  table_->inside.clear();
}

}  // namespace mptcptls::sim
