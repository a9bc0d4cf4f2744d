#include "tests/sim/packet.h"

#include <algorithm>
#include <cstdio>

namespace mptcptls::sim {
namespace {

constexpr uint8_t kTcp = 6;
constexpr size_t kLargest = 65521;  // FACTS.md: what crosses a TUN and a veth whole

uint32_t Sum(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  size_t i = 0;
  uint64_t wide = sum;
  for (; i + 1 < bytes.size(); i += 2) wide += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) wide += static_cast<uint32_t>(bytes[i] << 8);
  while (wide >> 16) wide = (wide & 0xffff) + (wide >> 16);
  return static_cast<uint32_t>(wide);
}

std::span<uint8_t> OptionIn(std::span<uint8_t> options, uint8_t kind, int subtype) {
  for (size_t i = 0; i < options.size();) {
    const uint8_t k = options[i];
    if (k == 0) break;
    if (k == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size()) break;
    const size_t length = options[i + 1];
    if (length < 2 || i + length > options.size()) break;
    if (k == kind && (subtype < 0 || (length > 2 && options[i + 2] >> 4 == subtype))) {
      return options.subspan(i, length);
    }
    i += length;
  }
  return {};
}

}  // namespace

std::optional<TcpView> TcpView::Of(std::span<uint8_t> p) {
  if (p.size() < 20) return std::nullopt;
  size_t tcp = 0, total = 0;
  Family family = Family::kV4;
  if (p[0] >> 4 == 4) {
    tcp = static_cast<size_t>(p[0] & 15) * 4;
    total = static_cast<size_t>(p[2] << 8 | p[3]);
    if (tcp < 20 || p[9] != kTcp || (p[6] & 0x3f) != 0 || p[7] != 0) return std::nullopt;
  } else if (p[0] >> 4 == 6 && p.size() >= 40) {
    family = Family::kV6;
    tcp = 40;
    total = 40 + static_cast<size_t>(p[4] << 8 | p[5]);
    if (p[6] != kTcp) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (total > p.size() || tcp + 20 > total) return std::nullopt;
  const size_t payload = tcp + static_cast<size_t>(p[tcp + 12] >> 4) * 4;
  if (payload < tcp + 20 || payload > total) return std::nullopt;
  return TcpView(p.first(total), family, tcp, payload);
}

IpAddress TcpView::source() const {
  return family_ == Family::kV4 ? IpAddress::V4(ByteSpan(bytes_.subspan(12, 4)))
                                : IpAddress::V6(bytes_.subspan(8, 16));
}

IpAddress TcpView::destination() const {
  return family_ == Family::kV4 ? IpAddress::V4(ByteSpan(bytes_.subspan(16, 4)))
                                : IpAddress::V6(bytes_.subspan(24, 16));
}

void TcpView::set_source(const IpAddress& a) {
  std::copy_n(a.bytes.begin(), a.size(), bytes_.begin() + (family_ == Family::kV4 ? 12 : 8));
}

void TcpView::set_destination(const IpAddress& a) {
  std::copy_n(a.bytes.begin(), a.size(), bytes_.begin() + (family_ == Family::kV4 ? 16 : 24));
}

FourTuple TcpView::tuple() const {
  return {{source(), source_port()}, {destination(), destination_port()}};
}

std::span<uint8_t> TcpView::FindOption(uint8_t kind) const { return OptionIn(options(), kind, -1); }

std::span<uint8_t> TcpView::FindMptcp(uint8_t subtype) const {
  return OptionIn(options(), 30, subtype);
}

void TcpView::MarkCongestion() {
  const bool v4 = family_ == Family::kV4;
  uint8_t& byte = bytes_[1];
  const uint8_t mark = v4 ? 0x03 : 0x30;
  if ((byte & mark) == 0) return;
  byte |= mark;
  FixLengths();
}

void TcpView::FixLengths() {
  if (family_ == Family::kV6) {
    Put16(4, static_cast<uint16_t>(bytes_.size() - 40));
    return;
  }
  Put16(2, static_cast<uint16_t>(bytes_.size()));
  Put16(10, 0);
  Put16(10, static_cast<uint16_t>(~Sum(bytes_.first(tcp_))));
}

bool TcpView::Ipv4HeaderValid() const {
  return family_ == Family::kV6 || Sum(bytes_.first(tcp_)) == 0xffff;
}

uint16_t TcpView::PseudoHeaderSum() const {
  const auto addresses = family_ == Family::kV4 ? bytes_.subspan(12, 8) : bytes_.subspan(8, 32);
  const uint32_t length = static_cast<uint32_t>(bytes_.size() - tcp_);
  return static_cast<uint16_t>(Sum(addresses, kTcp + length));
}

uint16_t TcpView::Checksum() const {
  uint32_t sum = Sum(bytes_.subspan(tcp_), PseudoHeaderSum());
  // Take the field itself out again: one's complement addition of its complement.
  sum += static_cast<uint16_t>(~checksum());
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::string TcpView::ToString() const {
  static constexpr const char* kSubtypes[] = {"MP_CAPABLE",  "MP_JOIN", "DSS",     "ADD_ADDR",
                                              "REMOVE_ADDR", "MP_PRIO", "MP_FAIL", "MP_FASTCLOSE",
                                              "MP_TCPRST",   "NEW_KEY"};
  const FourTuple t = tuple();
  std::string out = t.local.ToString() + " > " + t.remote.ToString() + " ";
  const char* letters = "FSRPAUEC";
  for (int bit = 0; bit < 8; ++bit) {
    if (flags() & (1 << bit)) out += letters[bit];
  }
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, " seq %u ack %u win %u len %zu", seq(), ack(), window(),
                payload().size());
  out += buffer;
  const auto all = options();
  for (size_t i = 0; i < all.size();) {
    if (all[i] == 0) break;
    if (all[i] == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= all.size() || all[i + 1] < 2 || i + all[i + 1] > all.size()) {
      out += " [bad options]";
      break;
    }
    const size_t length = all[i + 1];
    if (all[i] == 30 && length > 2) {
      const int subtype = all[i + 2] >> 4;
      out += subtype <= 9 ? std::string(" ") + kSubtypes[subtype]
                          : " mptcp-" + std::to_string(subtype);
      out += "(";
      for (size_t k = 2; k < length; ++k) {
        std::snprintf(buffer, sizeof buffer, "%02x", all[i + k]);
        out += buffer;
      }
      out += ")";
    } else if (all[i] == 5) {
      out += " sack";
      for (size_t k = 2; k + 8 <= length; k += 8) {
        const auto at = [&](size_t o) {
          return static_cast<uint32_t>(all[i + o] << 24 | all[i + o + 1] << 16 |
                                       all[i + o + 2] << 8 | all[i + o + 3]);
        };
        std::snprintf(buffer, sizeof buffer, " %u-%u", at(k), at(k + 4));
        out += buffer;
      }
    }
    i += length;
  }
  return out;
}

void Seal(Packet* packet) {
  // The view trusts the IP header's length, so that goes in first.
  auto& b = packet->bytes;
  const size_t length = b[0] >> 4 == 4 ? b.size() : b.size() - 40;
  const size_t at = b[0] >> 4 == 4 ? 2 : 4;
  b[at] = static_cast<uint8_t>(length >> 8);
  b[at + 1] = static_cast<uint8_t>(length);
  auto view = TcpView::Of(b);
  if (!view) return;
  view->FixLengths();
  if (packet->partial_checksum) {
    view->set_checksum(view->PseudoHeaderSum());
  } else {
    view->set_checksum(view->Checksum());
  }
}

void CompleteChecksum(Packet* packet) {
  if (!packet->partial_checksum) return;
  packet->partial_checksum = false;
  if (auto view = TcpView::Of(packet->bytes)) view->set_checksum(view->Checksum());
}

std::vector<Packet> Cut(Packet packet) {
  std::vector<Packet> out;
  auto whole = TcpView::Of(packet.bytes);
  if (packet.gso_size == 0 || !whole || whole->payload().size() <= packet.gso_size) {
    packet.gso_size = 0;
    out.push_back(std::move(packet));
    return out;
  }
  const size_t headers = whole->payload_offset(), total = whole->payload().size();
  for (size_t offset = 0, n = 0; offset < total; offset += packet.gso_size, ++n) {
    const size_t size = std::min<size_t>(packet.gso_size, total - offset);
    Packet piece;
    piece.partial_checksum = packet.partial_checksum;
    piece.bytes.reserve(headers + size);
    piece.bytes.assign(packet.bytes.begin(), packet.bytes.begin() + static_cast<long>(headers));
    const auto payload = whole->payload().subspan(offset, size);
    piece.bytes.insert(piece.bytes.end(), payload.begin(), payload.end());
    const size_t length_at = whole->family() == Family::kV4 ? 2 : 4;
    const size_t length = piece.bytes.size() - (whole->family() == Family::kV4 ? 0 : 40);
    piece.bytes[length_at] = static_cast<uint8_t>(length >> 8);
    piece.bytes[length_at + 1] = static_cast<uint8_t>(length);
    auto view = TcpView::Of(piece.bytes);
    view->set_seq(whole->seq() + static_cast<uint32_t>(offset));
    uint8_t flags = whole->flags();
    if (offset + size < total) flags &= static_cast<uint8_t>(~(kFin | kPsh));
    if (offset > 0) flags &= static_cast<uint8_t>(~kCwr);
    view->set_flags(flags);
    if (whole->family() == Family::kV4) view->set_ip_id(static_cast<uint16_t>(whole->ip_id() + n));
    Seal(&piece);
    out.push_back(std::move(piece));
  }
  return out;
}

bool Merge(Packet* first, const Packet& next) {
  std::vector<uint8_t>& bytes = first->bytes;
  auto a = TcpView::Of(bytes);
  auto b = TcpView::Of({const_cast<uint8_t*>(next.bytes.data()), next.bytes.size()});
  if (!a || !b || next.gso_size != 0 || a->family() != b->family()) return false;
  const size_t unit = first->gso_size != 0 ? first->gso_size : a->payload().size();
  const uint32_t pieces =
      static_cast<uint32_t>((a->payload().size() + unit - 1) / (unit ? unit : 1));
  if (a->tuple() != b->tuple() || a->payload().empty() || b->payload().empty() ||
      a->payload().size() % unit != 0 || b->payload().size() > unit ||
      a->seq() + a->payload().size() != b->seq() || a->ack() != b->ack() ||
      a->window() != b->window() || !std::ranges::equal(a->options(), b->options()) ||
      a->flags() != kAck || (b->flags() & ~(kPsh | kFin)) != kAck ||
      bytes.size() + b->payload().size() > kLargest) {
    return false;
  }
  if (a->family() == Family::kV4 && static_cast<uint16_t>(a->ip_id() + pieces) != b->ip_id()) {
    return false;
  }
  const uint8_t flags = static_cast<uint8_t>(a->flags() | b->flags());
  const size_t flags_at = a->tcp_offset() + 13;
  bytes.insert(bytes.end(), b->payload().begin(), b->payload().end());
  bytes[flags_at] = flags;
  first->gso_size = static_cast<uint16_t>(unit);
  first->partial_checksum = true;
  Seal(first);
  return true;
}

}  // namespace mptcptls::sim
