// When a reduction was for nothing: what seemed lost was late. Four signs: an acknowledgement that
// echoes a time stamp older than the retransmission (Eifel, RFC 3522); the acknowledgement of what
// was sent before a timeout and not again (F-RTO, RFC 5682); every retransmission reported as
// arrived twice (DSACK, RFC 2883 and 3708); everything arrived before it could be sent again. The
// window goes back to what it was (RFC 4015, RFC 9438 4.9).
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

}  // namespace

// An episode begins.
void Subflow::Impl::RememberForUndo() {
  congestion_->Remember();
  undo_ = {};
  undo_.armed = true;
  undo_.marker = snd_una_;
  // A probe that is still on its way may be reported as well.
  for (const SentRange& range : sent_.ranges()) {
    if (range.transmissions > 1 && range.fate == Fate::kInFlight) {
      undo_.outstanding += range.length();
    }
  }
}

void Subflow::Impl::NoteRetransmission(const SentRange& range) {
  if (!undo_.armed) return;
  undo_.retransmitted = true;
  undo_.outstanding += range.length();
  if (timestamps_ && !undo_.stamp) undo_.stamp = range.stamp;
}

void Subflow::Impl::NoteDuplicate(Time now, const News& news) {
  if (!news.duplicate) return;
  ++counters_->dsack_received;
  reordering_.OnDuplicate(now, rack_rtt_, news.duplicate->begin, news.duplicate->end, snd_una_,
                          snd_nxt_);
  if (undo_.armed && news.duplicate->begin >= undo_.marker) {
    const uint32_t size = news.duplicate->end - news.duplicate->begin;
    undo_.outstanding -= std::min(undo_.outstanding, size);
  }
}

void Subflow::Impl::DetectSpurious(Time now, const News& news) {
  if (!undo_.armed) return;
  const bool late = news.advanced && undo_.stamp && echo_ && Older(*echo_, *undo_.stamp);
  // Without SACK the first acknowledgement may jump over what had arrived before (RFC 5682 2.1).
  const bool telling = frto_hold_ || (sack_ && (!news.advanced || !echo_));
  const bool original = in_loss_ && frto_ && telling && news.original > 0;
  const bool twice = undo_.retransmitted && undo_.outstanding == 0 && news.duplicate;
  // All that was marked as lost has come, and nothing was sent again: the window had no room.
  const bool untouched =
      in_recovery_ && !undo_.retransmitted && undo_.outstanding == 0 && sent_.lost() == 0;
  if (late || original || twice || untouched) Undo(now);
}

void Subflow::Impl::Undo(Time now) {
  ++(in_loss_ ? counters_->spurious_timeouts : counters_->spurious_recoveries);
  congestion_->Undo();
  undo_.armed = false;
  if (in_loss_) {
    // A timeout takes everything for lost; that was a guess.
    for (SentRange& range : sent_.ranges()) {
      if (range.fate == Fate::kLost) sent_.SetFate(&range, Fate::kInFlight);
    }
  } else {
    reordering_.OnSeen();
  }
  in_loss_ = in_recovery_ = frto_ = frto_hold_ = false;
  backoff_ = 0;
  if (!sent_.empty()) ArmRetransmit(now);
}

// RFC 5682 2.1, step 2 and 3, where no time stamp decides: after the first retransmission was
// acknowledged, new data is sent, and the next acknowledgement tells.
void Subflow::Impl::AdvanceFrto(const Segment& segment, const News& news) {
  if (!in_loss_ || !frto_) return;
  if (frto_hold_) {
    // Step 3a: a duplicate acknowledgement, the loss was real.
    frto_ = frto_hold_ = false;
    congestion_->set_cwnd(std::max(congestion_->cwnd(), 3 * mss_));
    return;
  }
  if (!news.advanced) return;
  if (echo_ || snd_una_ >= recovery_point_) {
    frto_ = false;
    return;
  }
  if (segment.window == 0) return;
  frto_hold_ = true;
}

// Nothing new was there to be sent: the conventional way (RFC 5682 2.1, step 2b).
void Subflow::Impl::EndFrtoHold(Time now) {
  if (!frto_hold_ || snd_nxt_ > recovery_point_) return;
  frto_ = frto_hold_ = false;
  RetransmitLost(now);
}

}  // namespace mptcptls
