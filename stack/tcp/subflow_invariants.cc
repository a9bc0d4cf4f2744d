// What must hold of a subflow whenever no call is under way. Simulation and fuzzers ask after every
// step, so that a broken state is found where it arises and not where it hurts. It reads the state
// as the RFCs name it and knows nothing of how the congestion window is computed.
#include <algorithm>

#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

std::string Number(uint64_t n) { return std::to_string(n); }

// RFC 2018 5: the scoreboard covers [snd_una, snd_nxt) without hole or overlap, and its sums are
// those of its ranges.
std::string CheckScoreboard(const SentQueue& sent, Seq una, Seq nxt) {
  uint32_t in_flight = 0, sacked = 0, lost = 0;
  Seq at = una;
  for (const SentRange& range : sent.ranges()) {
    if (range.begin != at) return "a range begins " + Number(range.begin - at) + " off its place";
    if (range.length() == 0) return "an empty range in the scoreboard";
    if (range.fin && range.end() != nxt) return "something was sent after the FIN";
    if (range.transmissions < 1) return "a range that was never sent";
    at = range.end();
    (range.fate == Fate::kSacked ? sacked
     : range.fate == Fate::kLost ? lost
                                 : in_flight) += range.length();
  }
  if (at != nxt) return "the scoreboard ends " + Number(nxt - at) + " before snd_nxt";
  if (in_flight != sent.in_flight() || sacked != sent.sacked() || lost != sent.lost()) {
    return "scoreboard sums: in flight " + Number(sent.in_flight()) + " for " + Number(in_flight) +
           ", SACKed " + Number(sent.sacked()) + " for " + Number(sacked) + ", lost " +
           Number(sent.lost()) + " for " + Number(lost);
  }
  return {};
}

}  // namespace

std::string OutOfOrder::CheckInvariants(uint64_t next) const {
  size_t sum = 0;
  uint64_t end = next;
  for (const auto& [begin, bytes] : pieces_) {
    if (bytes.empty()) return "an empty piece out of order";
    // What begins exactly at `next` is in order and would have been delivered.
    if (begin < end || begin == next) return "pieces out of order overlap";
    end = begin + bytes.size();
    sum += bytes.size();
  }
  if (sum != bytes_) return Number(bytes_) + " bytes out of order are counted for " + Number(sum);
  if (pieces_.size() > kMaxPieces) return "too many pieces out of order";
  return {};
}

std::string Subflow::Impl::CheckInvariants() const {
  const bool any_timer = retransmit_.armed() || probe_.armed() || reorder_.armed() ||
                         delayed_ack_.armed() || time_wait_.armed();
  if (state_ == TcpState::kClosed) {
    if (!sent_.empty() || !early_.empty()) return "closed with data left";
    return any_timer ? "closed with a timer armed" : "";
  }
  if (snd_una_ > snd_nxt_) return "snd_una beyond snd_nxt";
  if (snd_wnd_ > max_snd_wnd_) return "snd_wnd beyond the largest window seen";
  if (state_ == TcpState::kTimeWait) {
    if (!time_wait_.armed()) return "TIME_WAIT without an end";
    if (!sent_.empty()) return "TIME_WAIT with data unacknowledged";
  }
  std::string wrong = CheckSender();
  return wrong.empty() && synchronized() ? CheckReceiver() : wrong;
}

std::string Subflow::Impl::CheckSender() const {
  if (state_ == TcpState::kSynSent || state_ == TcpState::kSynReceived) {
    if (!sent_.empty()) return "data before the handshake's end";
    // RFC 6298 5.1
    return retransmit_.armed() ? "" : "a SYN without a retransmission timer";
  }
  std::string wrong = CheckScoreboard(sent_, snd_una_, snd_nxt_);
  if (!wrong.empty()) return wrong;
  // RFC 6298 5.1, 5.2
  if (!sent_.empty() && !retransmit_.armed())
    return "unacknowledged without a retransmission timer";
  if (sent_.empty() && probe_.armed()) return "a tail loss probe with nothing in flight";
  const SubflowInfo info = self_->Info();
  if (info.cwnd < info.mss) {
    return "cwnd " + Number(info.cwnd) + " is less than an MSS of " + Number(info.mss);
  }
  if (fin_acked_ && !fin_sent_) return "a FIN acknowledged that was never sent";
  const bool closing = state_ == TcpState::kFinWait1 || state_ == TcpState::kFinWait2 ||
                       state_ == TcpState::kClosing || state_ == TcpState::kLastAck;
  if (closing && !fin_sent_) return std::string(TcpStateName(state_)) + " without a FIN sent";
  if (may_send() && fin_sent_) return std::string(TcpStateName(state_)) + " after our FIN";
  return {};
}

std::string Subflow::Impl::CheckReceiver() const {
  if (static_cast<uint32_t>(rcv_offset_) != rcv_nxt_ - irs_) return "rcv_nxt and its offset differ";
  if (rcv_adv_ < rcv_nxt_ && !config_.windows_at_data_level && may_receive()) {
    return "more was received than was ever offered";
  }
  std::string wrong = early_.CheckInvariants(rcv_offset_);
  if (!wrong.empty()) return wrong;
  if (early_.bytes() > std::max<size_t>(max_rcv_wnd_, kBlockSize)) {
    return Number(early_.bytes()) + " bytes out of order, beyond the window";
  }
  if (fin_offset_ && may_receive() && *fin_offset_ == rcv_offset_) return "a FIN in order waits";
  // RFC 9293 3.8.6.3: what is owed is sent or has its time.
  if (unacked_bytes_ > 0 && was_established_ && !delayed_ack_.armed()) {
    return "an acknowledgement is owed without a timer";
  }
  return {};
}

std::string Subflow::CheckInvariants() const { return impl_->CheckInvariants(); }

}  // namespace mptcptls
