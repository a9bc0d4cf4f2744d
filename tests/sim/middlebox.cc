#include "tests/sim/middlebox.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace mptcptls::sim {
namespace {

constexpr uint8_t kNop = 1, kMss = 2, kSackPermitted = 4, kMptcp = 30;

// Replaces every option of `kind` by NOPs; true when there was one.
bool Blank(const TcpView& view, uint8_t kind) {
  bool any = false;
  for (auto option = view.FindOption(kind); !option.empty(); option = view.FindOption(kind)) {
    std::ranges::fill(option, kNop);
    any = true;
  }
  return any;
}

Middlebox BlankOption(Selector which, uint8_t kind) {
  return [which = std::move(which), kind](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && which(*view) && Blank(*view, kind)) Seal(&packet);
    out->push_back(std::move(packet));
  };
}

// Appends an option to a packet, padded to four bytes; false when the header has no room.
bool AppendOption(Packet* packet, const std::vector<uint8_t>& option) {
  const auto view = TcpView::Of(packet->bytes);
  std::vector<uint8_t> padded = option;
  while (padded.size() % 4 != 0) padded.push_back(kNop);
  if (view->options().size() + padded.size() > 40) return false;
  const size_t header_length = view->tcp_offset() + 12;
  const size_t words = (20 + view->options().size() + padded.size()) / 4;
  packet->bytes.insert(packet->bytes.begin() + static_cast<long>(view->payload_offset()),
                       padded.begin(), padded.end());
  packet->bytes[header_length] =
      static_cast<uint8_t>(words << 4 | (packet->bytes[header_length] & 15));
  Seal(packet);
  return true;
}

Middlebox Rewrite(std::function<void(TcpView*)> change) {
  return [change = std::move(change)](Packet packet, std::vector<Packet>* out) {
    if (auto view = TcpView::Of(packet.bytes)) {
      change(&*view);
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

}  // namespace

Middlebox StripMptcp(Selector which) { return BlankOption(std::move(which), kMptcp); }

Middlebox StripSackPermitted() {
  return BlankOption([](const TcpView& p) { return p.has(kSyn); }, kSackPermitted);
}

Middlebox StripOption(uint8_t kind, Selector which) { return BlankOption(std::move(which), kind); }

Middlebox RewriteMss(uint16_t mss) {
  return Rewrite([mss](TcpView* p) {
    const auto option = p->FindOption(kMss);
    if (!p->has(kSyn) || option.size() != 4) return;
    option[2] = static_cast<uint8_t>(mss >> 8);
    option[3] = static_cast<uint8_t>(mss);
  });
}

Middlebox MarkUrgent(uint64_t n, uint16_t pointer) {
  auto seen = std::make_shared<uint64_t>(0);
  return Rewrite([seen, n, pointer](TcpView* p) {
    if (p->payload().empty() || ++*seen % n != 0) return;
    p->set_flags(p->flags() | kUrg);
    p->set_urgent_pointer(pointer);
  });
}

Middlebox DropMptcp(Selector which) {
  return [which = std::move(which)](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && which(*view) && !view->FindOption(kMptcp).empty()) return;
    out->push_back(std::move(packet));
  };
}

Middlebox Split(size_t size) {
  return [size](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && view->payload().size() > size) packet.gso_size = static_cast<uint16_t>(size);
    for (Packet& piece : Cut(std::move(packet))) out->push_back(std::move(piece));
  };
}

Middlebox Coalesce(size_t size) {
  auto held = std::make_shared<std::optional<Packet>>();
  return [held, size](Packet packet, std::vector<Packet>* out) {
    const auto flush = [&] {
      if (*held) out->push_back(std::move(**held));
      held->reset();
    };
    const auto view = TcpView::Of(packet.bytes);
    const bool data = view && !view->payload().empty() && (view->flags() & (kSyn | kRst)) == 0;
    if (!data) {
      flush();
      out->push_back(std::move(packet));
      return;
    }
    if (*held) {
      const auto first = TcpView::Of((*held)->bytes);
      if (first->tuple() == view->tuple() && !first->has(kFin) &&
          first->seq() + first->payload().size() == view->seq() &&
          first->payload().size() + view->payload().size() <= size) {
        const size_t flags_at = first->tcp_offset() + 13;
        std::vector<uint8_t>& bytes = (*held)->bytes;
        bytes.insert(bytes.end(), view->payload().begin(), view->payload().end());
        bytes[flags_at] |= view->flags();
        Seal(&**held);
        return flush();
      }
      flush();
    }
    // Held only while more is certain to come: a pushed segment may be the last for a while.
    if (view->has(kPsh) || view->has(kFin)) {
      out->push_back(std::move(packet));
    } else {
      *held = std::move(packet);
    }
  };
}

Middlebox AlterPayload(uint64_t n) {
  auto seen = std::make_shared<uint64_t>(0);
  return [seen, n](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && !view->payload().empty() && (*seen)++ == n) {
      view->payload()[0] ^= 0x20;
      Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
}

Middlebox Forge(uint64_t n) {
  struct Attacker {
    uint64_t seen = 0, sent = 0;
    std::optional<Packet> join;
  };
  auto attacker = std::make_shared<Attacker>();
  return [attacker, n](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    const bool pure =
        view && view->payload().empty() && (view->flags() & (kSyn | kFin | kRst | kAck)) == kAck;
    const bool join =
        view && (view->flags() & (kSyn | kAck)) == kSyn && !view->FindMptcp(kMpJoin).empty();
    if (join) attacker->join = packet;
    std::optional<Packet> forged;
    if (pure && ++attacker->seen % n == 0) forged = packet;
    out->push_back(std::move(packet));
    if (!forged) return;
    const uint64_t kind = attacker->sent++ % 4;
    if (kind == 3) {
      if (!attacker->join) return;
      forged = attacker->join;
      auto copy = TcpView::Of(forged->bytes);
      copy->set_source_port(static_cast<uint16_t>(copy->source_port() ^ (1 + attacker->sent)));
      Seal(&*forged);
      out->push_back(std::move(*forged));
      return;
    }
    // Kind, length, subtype; the rest is made up, but for an address that may be anybody's.
    static constexpr uint8_t kSizes[] = {16, 12, 12}, kSubtypes[] = {kAddAddr, kMpFastclose, 9};
    std::vector<uint8_t> option(kSizes[kind], static_cast<uint8_t>(attacker->sent));
    option[0] = kMptcp;
    option[1] = kSizes[kind];
    option[2] = static_cast<uint8_t>(kSubtypes[kind] << 4);
    option[3] = kind == 0 ? 7 : 0;  // an address id
    if (AppendOption(&*forged, option)) out->push_back(std::move(*forged));
  };
}

EchoPair EchoMpCapable() {
  auto option = std::make_shared<std::vector<uint8_t>>();
  EchoPair pair;
  pair.towards_server = [option](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && (view->flags() & (kSyn | kAck)) == kSyn) {
      const auto found = view->FindMptcp(kMpCapable);
      option->assign(found.begin(), found.end());
      if (Blank(*view, kMptcp)) Seal(&packet);
    }
    out->push_back(std::move(packet));
  };
  pair.towards_client = [option](Packet packet, std::vector<Packet>* out) {
    const auto view = TcpView::Of(packet.bytes);
    if (view && view->has(kSyn | kAck) && !option->empty()) AppendOption(&packet, *option);
    out->push_back(std::move(packet));
  };
  return pair;
}

NatPair Nat(const IpAddress& inside, const IpAddress& outside) {
  return {Rewrite([=](TcpView* p) {
            if (p->source() == inside) p->set_source(outside);
          }),
          Rewrite([=](TcpView* p) {
            if (p->destination() == outside) p->set_destination(inside);
          })};
}

}  // namespace mptcptls::sim
