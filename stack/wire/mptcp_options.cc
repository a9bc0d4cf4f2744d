#include "stack/wire/mptcp_options.h"

#include <algorithm>

#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

enum Subtype : uint8_t {
  kCapable = 0,
  kJoin = 1,
  kDss = 2,
  kAddAddr = 3,
  kRemoveAddr = 4,
  kPrio = 5,
  kFail = 6,
  kFastClose = 7,
  kTcpRst = 8,
  kNewKey = 9,
};

// DSS flags (RFC 8684 3.3, figure 9).
constexpr uint8_t kDataFin = 0x10, kDsn8 = 0x08, kMapping = 0x04, kAck8 = 0x02, kDataAck = 0x01;

// ---- Parsing: each returns nullopt for a length or field that its RFC section does not know.

std::optional<MpCapable> ParseCapable(ByteSpan o) {
  if (o.size() < 4) return std::nullopt;
  MpCapable c;
  c.version = o[2] & 0x0f;
  c.flags = o[3];
  const size_t key = c.tls_auth() ? 4 : 8;
  const auto load = [&](size_t at) -> uint64_t {
    return key == 4 ? LoadBig<uint32_t>(&o[at]) : LoadBig<uint64_t>(&o[at]);
  };
  if (o.size() == 4) return c;
  if (o.size() == 4 + key) {
    c.form = MpCapable::Form::kSynAck;
    c.sender = load(4);
    return c;
  }
  if (o.size() < 4 + 2 * key || o.size() > 4 + 2 * key + 4) return std::nullopt;
  c.sender = load(4);
  c.receiver = load(4 + key);
  const size_t rest = o.size() - 4 - 2 * key;
  c.form = MpCapable::Form::kAck;
  if (rest == 0) return c;
  if (rest != 2 && rest != 4) return std::nullopt;
  c.form = rest == 2 ? MpCapable::Form::kData : MpCapable::Form::kDataChecksum;
  c.data_length = LoadBig<uint16_t>(&o[4 + 2 * key]);
  if (rest == 4) c.checksum = LoadBig<uint16_t>(&o[6 + 2 * key]);
  return c;
}

std::optional<MpJoin> ParseJoin(ByteSpan o, bool syn, bool ack) {
  MpJoin j;
  j.backup = (o[2] & 1) != 0;
  if (syn && !ack && o.size() == 12) {
    j.address_id = o[3];
    j.token = LoadBig<uint32_t>(&o[4]);
    j.nonce = LoadBig<uint32_t>(&o[8]);
    return j;
  }
  if (syn && ack && o.size() == 16) {
    j.form = MpJoin::Form::kSynAck;
    j.address_id = o[3];
    std::copy_n(&o[4], 8, j.hmac.begin());
    j.nonce = LoadBig<uint32_t>(&o[12]);
    return j;
  }
  if (!syn && ack && o.size() == 24) {
    j.form = MpJoin::Form::kAck;
    j.backup = false;
    std::copy_n(&o[4], 20, j.hmac.begin());
    return j;
  }
  return std::nullopt;
}

std::optional<Dss> ParseDss(ByteSpan o) {
  if (o.size() < 4) return std::nullopt;
  const uint8_t flags = o[3];
  Dss d;
  size_t need = 4;
  if (flags & kDataAck) need += (flags & kAck8) ? 8 : 4;
  const bool mapping = (flags & kMapping) != 0;
  if (mapping) need += ((flags & kDsn8) ? 8 : 4) + 6;
  // RFC 8684 3.3: whether the checksum is there shows in the length.
  const bool checksum = mapping && o.size() == need + 2;
  if (o.size() != need && !checksum) return std::nullopt;
  size_t at = 4;
  if (flags & kDataAck) {
    d.data_ack_8 = (flags & kAck8) != 0;
    d.data_ack = d.data_ack_8 ? LoadBig<uint64_t>(&o[at]) : LoadBig<uint32_t>(&o[at]);
    at += d.data_ack_8 ? 8 : 4;
  }
  if (mapping) {
    d.has_mapping = true;
    d.dsn_8 = (flags & kDsn8) != 0;
    d.dsn = d.dsn_8 ? LoadBig<uint64_t>(&o[at]) : LoadBig<uint32_t>(&o[at]);
    at += d.dsn_8 ? 8 : 4;
    d.ssn = LoadBig<uint32_t>(&o[at]);
    d.length = LoadBig<uint16_t>(&o[at + 4]);
    if (checksum) d.checksum = LoadBig<uint16_t>(&o[at + 6]);
    d.data_fin = (flags & kDataFin) != 0;
  }
  return d;
}

std::optional<AddAddr> ParseAddAddr(ByteSpan o) {
  AddAddr a;
  a.echo = (o[2] & 1) != 0;
  const size_t hmac = a.echo ? 0 : 8;
  const size_t v4 = 8 + hmac, v6 = 20 + hmac;
  size_t address = 0;
  if (o.size() == v4 || o.size() == v4 + 2) address = 4;
  if (o.size() == v6 || o.size() == v6 + 2) address = 16;
  if (address == 0) return std::nullopt;
  a.address_id = o[3];
  a.address = address == 4 ? IpAddress::V4(o.subspan(4, 4)) : IpAddress::V6(o.subspan(4, 16));
  size_t at = 4 + address;
  if (o.size() == at + hmac + 2) {
    a.port = LoadBig<uint16_t>(&o[at]);
    at += 2;
  }
  std::copy_n(o.begin() + static_cast<ptrdiff_t>(at), hmac, a.hmac.begin());
  return a;
}

std::optional<RemoveAddr> ParseRemoveAddr(ByteSpan o) {
  RemoveAddr r;
  if (o.size() < 4 || o.size() - 3 > r.ids.size()) return std::nullopt;
  r.count = static_cast<uint8_t>(o.size() - 3);
  std::copy(o.begin() + 3, o.end(), r.ids.begin());
  return r;
}

template <typename T>
void Take(std::optional<T>* slot, std::optional<T> parsed, MptcpOptions* out) {
  if (!parsed) {
    ++out->malformed;
  } else if (!*slot) {
    *slot = std::move(parsed);
  }
}

std::optional<MpPrio> ParsePrio(ByteSpan o) {
  // RFC 6824 had a form of 4 bytes with an address id; version 1 has 3 only.
  if (o.size() != 3) return std::nullopt;
  return MpPrio{(o[2] & 1) != 0};
}

std::optional<MpFail> ParseFail(ByteSpan o) {
  if (o.size() != 12) return std::nullopt;
  return MpFail{LoadBig<uint64_t>(&o[4])};
}

std::optional<FastClose> ParseFastClose(ByteSpan o) {
  if (o.size() != 12) return std::nullopt;
  FastClose f;
  std::copy_n(&o[4], 8, f.key.begin());
  return f;
}

std::optional<TcpRst> ParseTcpRst(ByteSpan o) {
  if (o.size() != 4) return std::nullopt;
  TcpRst r;
  r.transient = (o[2] & 1) != 0;
  r.reason = o[3];
  return r;
}

std::optional<NewKey> ParseNewKey(ByteSpan o) {
  if (o.size() != 12) return std::nullopt;
  NewKey k;
  k.second = (o[2] & 1) != 0;
  std::copy_n(&o[4], 8, k.tag.begin());
  return k;
}

// ---- Encoding

size_t CapableSize(const MpCapable& c) {
  const size_t key = c.tls_auth() ? 4 : 8;
  switch (c.form) {
    case MpCapable::Form::kSyn:
      return 4;
    case MpCapable::Form::kSynAck:
      return 4 + key;
    case MpCapable::Form::kAck:
      return 4 + 2 * key;
    case MpCapable::Form::kData:
      return 4 + 2 * key + 2;
    case MpCapable::Form::kDataChecksum:
      return 4 + 2 * key + 4;
  }
  return 4;
}

size_t JoinSize(const MpJoin& j) {
  return j.form == MpJoin::Form::kSyn ? 12 : j.form == MpJoin::Form::kSynAck ? 16 : 24;
}

size_t DssSize(const Dss& d) {
  size_t n = 4;
  if (d.data_ack) n += d.data_ack_8 ? 8 : 4;
  if (d.has_mapping) n += (d.dsn_8 ? 8u : 4u) + 6 + (d.checksum ? 2 : 0);
  return n;
}

size_t AddAddrSize(const AddAddr& a) {
  return 4 + a.address.size() + (a.port ? 2 : 0) + (a.echo ? 0 : 8);
}

size_t Padded(size_t n) { return (n + 3) & ~size_t{3}; }

// Writes one option's head, hands out its body, pads with NOPs (RFC 9293 3.2: kind 1).
class Writer {
 public:
  explicit Writer(uint8_t* out) : out_(out) {}
  uint8_t* Begin(Subtype subtype, uint8_t low_nibble, size_t size) {
    uint8_t* at = out_;
    at[0] = kMptcpOptionKind;
    at[1] = static_cast<uint8_t>(size);
    at[2] = static_cast<uint8_t>(subtype << 4 | low_nibble);
    std::fill(at + 3, at + size, uint8_t{0});
    std::fill(at + size, at + Padded(size), uint8_t{1});
    out_ += Padded(size);
    return at;
  }
  uint8_t* end() const { return out_; }

 private:
  uint8_t* out_;
};

void Write(const MpCapable& c, Writer* w) {
  uint8_t* o = w->Begin(kCapable, c.version, CapableSize(c));
  o[3] = c.flags;
  const size_t key = c.tls_auth() ? 4 : 8;
  const auto store = [&](uint8_t* at, uint64_t v) {
    key == 4 ? StoreBig(at, static_cast<uint32_t>(v)) : StoreBig(at, v);
  };
  if (c.form == MpCapable::Form::kSyn) return;
  store(o + 4, c.sender);
  if (c.form == MpCapable::Form::kSynAck) return;
  store(o + 4 + key, c.receiver);
  if (c.form == MpCapable::Form::kAck) return;
  StoreBig(o + 4 + 2 * key, c.data_length);
  if (c.form == MpCapable::Form::kDataChecksum) StoreBig(o + 6 + 2 * key, c.checksum);
}

void Write(const MpJoin& j, Writer* w) {
  const bool third_ack = j.form == MpJoin::Form::kAck;
  uint8_t* o = w->Begin(kJoin, !third_ack && j.backup ? 1 : 0, JoinSize(j));
  if (third_ack) {
    std::copy_n(j.hmac.begin(), 20, o + 4);
    return;
  }
  o[3] = j.address_id;
  if (j.form == MpJoin::Form::kSyn) {
    StoreBig(o + 4, j.token);
    StoreBig(o + 8, j.nonce);
  } else {
    std::copy_n(j.hmac.begin(), 8, o + 4);
    StoreBig(o + 12, j.nonce);
  }
}

void Write(const Dss& d, Writer* w) {
  uint8_t* o = w->Begin(kDss, 0, DssSize(d));
  uint8_t* at = o + 4;
  if (d.data_ack) {
    o[3] |= kDataAck;
    if (d.data_ack_8) {
      o[3] |= kAck8;
      StoreBig(at, *d.data_ack);
      at += 8;
    } else {
      StoreBig(at, static_cast<uint32_t>(*d.data_ack));
      at += 4;
    }
  }
  if (!d.has_mapping) return;
  o[3] |= static_cast<uint8_t>(kMapping | (d.data_fin ? kDataFin : 0) | (d.dsn_8 ? kDsn8 : 0));
  if (d.dsn_8) {
    StoreBig(at, d.dsn);
    at += 8;
  } else {
    StoreBig(at, static_cast<uint32_t>(d.dsn));
    at += 4;
  }
  StoreBig(at, d.ssn);
  StoreBig(at + 4, d.length);
  if (d.checksum) StoreBig(at + 6, *d.checksum);
}

void Write(const AddAddr& a, Writer* w) {
  uint8_t* o = w->Begin(kAddAddr, a.echo ? 1 : 0, AddAddrSize(a));
  o[3] = a.address_id;
  const ByteSpan address = a.address.span();
  uint8_t* at = std::copy(address.begin(), address.end(), o + 4);
  if (a.port) {
    StoreBig(at, *a.port);
    at += 2;
  }
  if (!a.echo) std::copy(a.hmac.begin(), a.hmac.end(), at);
}

}  // namespace

bool MpCapable::ValidFlags() const {
  constexpr uint8_t kMustBeZero = 0x40 | 0x10 | 0x04 | 0x02;  // B, D, F, G
  return (flags & kFlagHmacSha256) != 0 && (flags & kMustBeZero) == 0 &&
         (version == 1 || (form == Form::kSyn && version > 1));
}

bool MptcpOptions::empty() const {
  return !capable && !join && !dss && !add_addr && !remove_addr && !prio && !fail && !fast_close &&
         !tcp_rst && !new_key;
}

void ParseMptcpOption(ByteSpan option, bool syn, bool ack, MptcpOptions* out) {
  if (option.size() < 3) {
    ++out->malformed;
    return;
  }
  switch (option[2] >> 4) {
    case kCapable:
      return Take(&out->capable, ParseCapable(option), out);
    case kJoin:
      return Take(&out->join, ParseJoin(option, syn, ack), out);
    case kDss:
      return Take(&out->dss, ParseDss(option), out);
    case kAddAddr:
      return Take(&out->add_addr, ParseAddAddr(option), out);
    case kRemoveAddr:
      return Take(&out->remove_addr, ParseRemoveAddr(option), out);
    case kPrio:
      return Take(&out->prio, ParsePrio(option), out);
    case kFail:
      return Take(&out->fail, ParseFail(option), out);
    case kFastClose:
      return Take(&out->fast_close, ParseFastClose(option), out);
    case kTcpRst:
      return Take(&out->tcp_rst, ParseTcpRst(option), out);
    case kNewKey:
      return Take(&out->new_key, ParseNewKey(option), out);
    default:
      return;  // PROTOCOL.md 5: unknown subtypes are ignored silently
  }
}

size_t EncodedSize(const MptcpOptions& options) {
  size_t n = 0;
  if (options.capable) n += Padded(CapableSize(*options.capable));
  if (options.join) n += Padded(JoinSize(*options.join));
  if (options.dss) n += Padded(DssSize(*options.dss));
  if (options.add_addr) n += Padded(AddAddrSize(*options.add_addr));
  if (options.remove_addr) n += Padded(3u + options.remove_addr->count);
  if (options.prio) n += 4;
  if (options.fail) n += 12;
  if (options.fast_close) n += 12;
  if (options.tcp_rst) n += 4;
  if (options.new_key) n += 12;
  return n;
}

uint8_t* Encode(const MptcpOptions& options, uint8_t* out) {
  Writer w(out);
  if (options.capable) Write(*options.capable, &w);
  if (options.join) Write(*options.join, &w);
  if (options.dss) Write(*options.dss, &w);
  if (options.add_addr) Write(*options.add_addr, &w);
  if (const auto& r = options.remove_addr)
    std::copy_n(r->ids.begin(), r->count, w.Begin(kRemoveAddr, 0, 3u + r->count) + 3);
  if (options.prio) w.Begin(kPrio, options.prio->backup ? 1 : 0, 3);
  if (options.fail) StoreBig(w.Begin(kFail, 0, 12) + 4, options.fail->dsn);
  if (const auto& f = options.fast_close)
    std::copy(f->key.begin(), f->key.end(), w.Begin(kFastClose, 0, 12) + 4);
  if (const auto& r = options.tcp_rst) w.Begin(kTcpRst, r->transient ? 1 : 0, 4)[3] = r->reason;
  if (const auto& k = options.new_key) {
    std::copy(k->tag.begin(), k->tag.end(), w.Begin(kNewKey, k->second ? 1 : 0, 12) + 4);
  }
  return w.end();
}

}  // namespace mptcptls
