#include "tun/route_intervals.h"

#include <algorithm>
#include <tuple>

namespace mptcptls {
namespace {

using Number = unsigned __int128;  // an address of either family, aligned to its low end

Number ToNumber(const IpAddress& address) {
  Number value = 0;
  for (uint8_t byte : address.span()) value = value << 8 | byte;
  return value;
}

IpAddress ToAddress(Number value, Family family) {
  IpAddress address;
  address.family = family;
  for (size_t i = address.size(); i-- > 0; value >>= 8)
    address.bytes[i] = static_cast<uint8_t>(value);
  return address;
}

Number HostMask(Family family, uint8_t prefix_length) {
  const int bits = (family == Family::kV4 ? 32 : 128) - prefix_length;
  if (bits >= 128) return ~Number{0};
  return bits <= 0 ? 0 : (Number{1} << bits) - 1;
}

// One prefix while its nested ones are being worked through.
struct Open {
  Number last;
  const NextHop* route;
};

class Flattener {
 public:
  explicit Flattener(Family family) : family_(family) {}

  void Add(const NextHop& route) {
    const Number mask = HostMask(family_, route.prefix_length);
    const Number first = ToNumber(route.prefix) & ~mask;
    CloseBefore(first);
    if (!open_.empty() && first > from_) Emit(first - 1);
    from_ = first;
    open_.push_back({first | mask, &route});
  }

  std::vector<RouteInterval> Finish() {
    while (!open_.empty()) CloseInnermost();
    return std::move(result_);
  }

 private:
  void CloseBefore(Number first) {
    while (!open_.empty() && open_.back().last < first) CloseInnermost();
  }

  void CloseInnermost() {
    const Number last = open_.back().last;
    // A nested prefix that ended where this one ends has already covered the tail.
    if (!done_ && from_ <= last) Emit(last);
    open_.pop_back();
    done_ = done_ || last == HostMask(family_, 0);  // nothing can follow; last + 1 may overflow
    if (!done_) from_ = std::max(from_, last + 1);
  }

  // [from_, last] belongs to the innermost open prefix.
  void Emit(Number last) {
    const NextHop& route = *open_.back().route;
    if (route.ifindex == 0) return;
    if (!result_.empty() && result_.back().gateway == route.gateway &&
        ToNumber(result_.back().last) + 1 == from_) {
      result_.back().last = ToAddress(last, family_);
      return;
    }
    result_.push_back({ToAddress(from_, family_), ToAddress(last, family_), route.gateway});
  }

  Family family_;
  Number from_ = 0;         // where the part not yet emitted begins
  bool done_ = false;       // the family's last address was reached
  std::vector<Open> open_;  // nested prefixes, innermost last
  std::vector<RouteInterval> result_;
};

}  // namespace

std::vector<RouteInterval> FlattenRoutes(const std::vector<NextHop>& routes, int ifindex,
                                         Family family) {
  std::vector<const NextHop*> relevant;
  for (const NextHop& route : routes) {
    if (route.prefix.family == family && (route.ifindex == ifindex || route.ifindex == 0))
      relevant.push_back(&route);
  }
  const auto order = [](const NextHop* r) {
    return std::tuple(r->prefix.bytes, r->prefix_length, r->metric);
  };
  std::stable_sort(relevant.begin(), relevant.end(),
                   [&](const NextHop* a, const NextHop* b) { return order(a) < order(b); });
  Flattener flattener(family);
  const NextHop* previous = nullptr;
  for (const NextHop* route : relevant) {
    const bool same_prefix = previous != nullptr && previous->prefix == route->prefix &&
                             previous->prefix_length == route->prefix_length;
    if (!same_prefix) flattener.Add(*route);  // the first of a prefix has the lowest metric
    previous = route;
  }
  return flattener.Finish();
}

bool PrefixContains(const IpAddress& prefix, uint8_t length, const IpAddress& address) {
  if (prefix.family != address.family) return false;
  const Number mask = ~HostMask(prefix.family, length);
  return (ToNumber(prefix) & mask) == (ToNumber(address) & mask);
}

}  // namespace mptcptls
