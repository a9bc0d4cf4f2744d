#!/bin/bash
# Breaks the product, one line at a time, in a copy of the tree, and shows that a test notices each.
#   scripts/mutants.sh            all; prints a table, exits non-zero when one survives
#   scripts/mutants.sh WORD...    those whose name contains one of the words
# A mutant whose line no longer exists, or whose filter selects no test, is an error: bring it up to
# date, do not drop it. Keep the table in tests/README.md. Takes some minutes; not in CI.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# name | file | sed expression | test program | gtest filter (or arguments)
mutants() {
  cat <<'TABLE'
third ACK's HMAC not compared|stack/mptcp/join.cc|s/if (!ConstantTimeEqual(ByteSpan(expected).first(20), ByteSpan(join->hmac)))/if (false)/|sim_scenario_test|*Strangers*hmac*
SYN/ACK's HMAC not compared|stack/mptcp/join.cc|s/return ConstantTimeEqual(ByteSpan(expected).first(8), ByteSpan(join->hmac).first(8));/return true;/|sim_scenario_test|*Keys*different_keys*
token not checked|stack/host_input.cc|s/const auto it = by_token_.find(segment.options.mptcp.join->token);/auto it = by_token_.find(segment.options.mptcp.join->token); if (it == by_token_.end()) it = by_token_.begin();/|sim_scenario_test|*Strangers*unknown_token*
ADD_ADDR's HMAC not checked|stack/mptcp/announcements.cc|s/  if (!authentic) {/  if (false) {/|sim_scenario_test|*Keys*add_addr*
tokens not encrypted|stack/host.cc|s/return config_.token_key ? EncryptToken(.*/return plain;/|sim_scenario_test|*Flood*encrypted*
NEW_KEY of another key taken|stack/mptcp/new_key.cc|s/ConstantTimeEqual(expected, option.tag)/true/|sim_scenario_test|*NewKey*different_keys*
later keys not taken over|stack/mptcp/new_key.cc|s/^  keys_ = \*next_keys_;//|sim_scenario_test|*LaterKeys*
later keys used though unconfirmed|stack/mptcp/new_key.cc|s/  return next_keys_ \&\& next_confirmation_.peer() == PeerKey::kHolds;/  return next_keys_.has_value();/|sim_scenario_test|*LaterKeys*
first keys replaced though never confirmed|stack/mptcp/new_key.cc|s/^      confirmation_.peer() != PeerKey::kHolds) {/      false) {/|sim_scenario_test|*LaterKeys*never_confirmed*
only the current key verifies a SYN/ACK|stack/mptcp/join.cc|s/    path->under_next = next_keys_.has_value();/    path->under_next = false;/|sim_scenario_test|*LaterKeys*
flag C ignored|stack/mptcp/handshake.cc|s/ != 0) remotes_.clear();/ != 0) {}/|sim_scenario_test|*Refusals*takes_no_joins*
joins not refused by policy|stack/mptcp/join.cc|s/^      !services_->config().paths.accept_joins) {/      false) {/|sim_scenario_test|*Refusals*
limit on subflows not held|stack/mptcp/join.cc|s/  if (CountUsable() >= services_.*/  if (false) {/|sim_scenario_test|*PathLimits*peers_limit*
limit on addresses not held|stack/mptcp/announcements.cc|s/AddressesTaken() < services_->config().paths.max_addresses/true/|sim_scenario_test|*PathLimits*no_address_is_taken*
MP_PRIO never said|stack/mptcp/announcements.cc|s/told_backup == backup ? kNever : now;/told_backup == backup ? kNever : kNever;/|sim_scenario_test|*Backups*
MP_PRIO said once|stack/mptcp/announcements.cc|s/constexpr int kMaxPriorities = 3; /constexpr int kMaxPriorities = 1; /|sim_scenario_test|*Backups*lost_twice*
own backup not in MP_JOIN|stack/mptcp/segment_options.cc|s/^  join.backup = path.own_backup;//|sim_scenario_test|*Backups*
metered uplink opened at once|stack/mptcp/path_manager.cc|s/  if (local.use != UplinkUse::kMetered) return false;/  return false;/|sim_scenario_test|*Metered*
silence does not open a metered uplink|stack/mptcp/reinjection.cc|s/^    path->silent = true;//|sim_scenario_test|*Metered*silent*
dual-stack uplinks used twice|stack/mptcp/path_manager.cc|s/AtRemote(remote.endpoint) == 0 \&\& !SpeaksFirstFamily(local, remote)/AtRemote(remote.endpoint) == 0/|sim_scenario_test|*Together*dual_stack*
a tail probe opens the backup|stack/mptcp/reinjection.cc|s/other == nullptr .. (other->backup() \&\& !path->backup())/other == nullptr/|sim_scenario_test|*Backups*short_silence*
MP_FASTCLOSE said once|stack/host_input.cc|s/^  said.fast_close = .*//|sim_scenario_test|*abort_beyond*
all of a lossy slow path goes again|stack/mptcp/reinjection.cc|s/  if (!ReinjectHoles(.*/  return GoRound(now, carrier);/|sim_scenario_test|Stalls.LossesOfASlowPath*
pieces that follow each other not joined|stack/mptcp/reassembly.cc|s/ piece.size() + bytes.size() <= kMaxPiece/ false/|unit_mptcp|*WhatFollowsIsKept*
all addresses announced at once|stack/mptcp/announcements.cc|s/  return announcement.sent > 0 ../  return true ||/|sim_scenario_test|*PathLimits*in_turn*
a silent path awaited until its timeout|stack/mptcp/reinjection.cc|/^void ConnectionImpl::OnTailProbe/,/^}/s/^  GoRound(now, path);//|sim_scenario_test|*Resume*
other family not announced|stack/mptcp/announcements.cc|s/for (const bool own_family : {true, false}) {/for (const bool own_family : {true}) {/|sim_scenario_test|*Families*
paths awaited for a minute, whatever is said|stack/mptcp/path_manager.cc|s/  const Duration hold = services_->config().paths.hold, /  const Duration hold = std::chrono::seconds(60), /|sim_scenario_test|*Hold*
checksum of a DATA_FIN's mapping over too little|stack/mptcp/data_receive.cc|s/mapping->length + (mapping->data_fin ? 1 : 0)/mapping->length/|sim_scenario_test|*data_fin_on_checksummed*
joins do not wait for NEW_KEY|stack/mptcp/path_manager.cc|s/if (!AwaitsPeersKey(now)) OpenMissing/OpenMissing/|sim_scenario_test|*NewKey*joins_wait*
FASTCLOSE not answered by RST|stack/mptcp/data_receive.cc|s/    if (&path == reset) {/    if (reset != nullptr) {/|sim_scenario_test|*Together*loses_the_reset*
MP_FAIL not answered|stack/mptcp/data_receive.cc|s/^  fail_due_ = true;//|sim_scenario_test|*Checksum*
parked join dropped|stack/mptcp/join.cc|s/^    AcceptJoin(now, p.syn, p.local);/    (void)p;/|sim_scenario_test|*Keys*parked*
early join refused, not parked|stack/mptcp/join.cc|s/return Park(now, syn, local);/return Verdict::kReset;/|sim_scenario_test|*Keys*parked*
join before the third ACK refused|stack/mptcp/join.cc|s/return offer_ == Offer::kTls ? Park(now, syn, local) : Verdict::kDrop;/return Verdict::kReset;/|sim_scenario_test|*Strangers*before_the_third*
join sent without a key|stack/mptcp/join.cc|s/  return mode_ == Mode::kKeys || key_ == KeyState::kPresent;/  return true;/|sim_scenario_test|*Keys*gets_*_key*
reinjection off|stack/mptcp/reinjection.cc|s/^  if (reinject_.empty() || !mptcp()) return false;/  return false;/|sim_scenario_test|*PathFailure*dies_silently*
only the first path is used|stack/mptcp/data_send.cc|s/    if (p->dead || !p->usable || !subflow.MaySend()) continue;/    if (p->joined || p->dead || !p->usable || !subflow.MaySend()) continue;/|sim_scenario_test|*Together*equal*
a slow path takes the last bytes|stack/mptcp/scheduler_lowest_rtt.cc|s/  if (alone < static.* return/  if (alone < 0) return/|sim_scenario_test|*UnlikePaths*
BLEST never waits|stack/mptcp/scheduler_blest.cc|s/lambda_ \* sent > static_cast<double>(left)/lambda_ * sent + static_cast<double>(left) < 0/|sim_scenario_test|*UnlikePaths*
BLEST learns nothing|stack/mptcp/scheduler_blest.cc|s/    blocked_ .= repeat.has_value();//|unit_mptcp|Blest.*
ECF never waits|stack/mptcp/scheduler_ecf.cc|s/    return std::nullopt;/    return best;/|sim_scenario_test|*UnlikePaths*
ECF without hysteresis|stack/mptcp/scheduler_ecf.cc|s/    waiting_ = true;//|unit_mptcp|Ecf.*
no opportunistic reinjection|stack/mptcp/scheduler.cc|s/  if (!view.blocked .. view.carriers == nullptr) return std::nullopt;/  return std::nullopt;/|sim_scenario_test|OpportunisticReinjection.ASlow*
nobody penalised|stack/mptcp/reinjection.cc|s/^  path->subflow->Penalise();//|sim_scenario_test|OpportunisticReinjection.APath*
a stall lasts as long as its path likes|stack/mptcp/reinjection.cc|s/^  carrier->behind = true;/  return;/|sim_scenario_test|*EndAStall*
a path that holds the stream up gets more|stack/mptcp/data_send.cc|s/\.stale = p->stale .. p->behind,/.stale = p->stale,/|sim_scenario_test|Stalls.*
round robin prefers the first|stack/mptcp/scheduler_round_robin.cc|s/served = Of(path.id) += bytes;/served = Of(path.id) + bytes;/|sim_scenario_test|RoundRobin.*
redundant sends once|stack/mptcp/scheduler_redundant.cc|s/    if (!best) return std::nullopt;/    return std::nullopt;/|sim_scenario_test|Redundant.*
small things spread|stack/mptcp/scheduler_latency.cc|s/    if (view.backlog > kSmall .* return/    return/|sim_scenario_test|LatencyFirst.*
the listener's scheduler forgotten|stack/mptcp/connection_impl.cc|s/Create(options.scheduler.value_or(services_->config().scheduler))/Create(SchedulerKind::kLowestRtt)/|sim_scenario_test|RoundRobin.*:Redundant.*
MPTCPTLS_SCHEDULER not told|shim/listen.cc|s/^  request.scheduler = SchedulerSetting();//|unit_shim|*Scheduler*
the rule wins over MPTCPTLS_SCHEDULER|engine/scheduler_choice.cc|s/  switch (asked) {/  switch (config.SchedulerFor(endpoint, listen) ? control::Scheduler::kNotGiven : asked) {/|unit_engine|SchedulerChoice.*
route that came back ignored|stack/mptcp/path_manager.cc|/^void ConnectionImpl::OnRoutes/,/^}/s/^  ManagePaths(now);//|sim_scenario_test|*PathFailure*before_its_route*
DATA_FIN not repeated|stack/mptcp/data_send.cc|s/^  fin_timer_.Set(now + wait);/  (void)wait;/|sim_scenario_test|*LostEnd*data_fin*
a reset shown as a clean end|stack/mptcp/data_receive.cc|s/Finish(now, EndReason::kReset);/Finish(now, EndReason::kClean);/|sim_scenario_test|*Aborted*
held bytes lost at a fallback|stack/mptcp/handshake.cc|s/^    ReceiveAt(now, path.get().*//|sim_scenario_files_test|*amid_a_checksummed*
Data ACK gives way to DATA_FIN|stack/mptcp/segment_options.cc|s/out->dss->has_mapping = false;/out->dss.reset();/|sim_scenario_files_test|*early_data_fin*
DATA_FIN without room not sent|stack/mptcp/segment_options.cc|s/out->dss->data_fin) fin_due_ = false;/out->dss->data_fin) fin_due_ = false; else fin_due_ = false;/|sim_scenario_files_test|*early_data_fin*
a join outlives the fallback|stack/mptcp/handshake.cc|s/^    if (!paths_\[i\]->dead .. paths_\[i\]->joined) ResetPath.*/    (void)i;/|sim_scenario_files_test|*amid_a_join*
fallback missing|stack/mptcp/handshake.cc|s/^  if (dss_seen_ || joined_ever_ || path.joined || segment.rst) return false;/  return false;/|sim_scenario_test|*Stripped*
third SYN still offers|stack/mptcp/segment_options.cc|s/if (plan.transmission > 2) offer_dropped_ = true;//|sim_scenario_test|*Stripped*syns_with*
window probe missing|stack/mptcp/data_send.cc|s/if (!closed_) ProbeClosedWindow(now);//|sim_scenario_test|*Window*zero_window*
SACK ignored|stack/tcp/subflow_ack.cc|s/    TakeSacks(now, segment, &news);//|unit_tcp|Sending.*
duplicate data delivered|stack/tcp/subflow_input.cc|s/^  bytes = bytes.subspan(static_cast<size_t>(rcv_offset_ - begin));//|unit_tcp|Arrival.*
PAWS ignored|stack/tcp/subflow_input.cc|s/if (!segment.rst \&\& !PassesPaws(segment))/if (false)/|unit_tcp|Paws.*
DSACKs do not widen RACK's window|stack/tcp/subflow_undo.cc|/^  reordering_.OnDuplicate(/,/);$/d|unit_tcp|Reordering.*
an echo that stands still believed|stack/tcp/subflow_ack.cc|s/  if (news \&\& Older(.*) {/  if (false) {/|unit_tcp|RoundTripTime.*
retransmissions stamped with the time of day|stack/tcp/subflow_output.cc|s/  if (Older(stamp, before + 1)) stamp = before + 1;/  stamp = clock;/|unit_tcp|Reordering.*
lateness not measured|stack/tcp/subflow_output.cc|s/^    reordering_.OnRetransmit(.*);//|unit_tcp|Reordering.*
duplicates not reported|stack/tcp/subflow_input.cc|s/    duplicate_ = {begin, .*};//|unit_tcp|DuplicateSack.*
spurious reductions stay|stack/tcp/subflow_undo.cc|s/  if (late .* untouched) Undo(now);//|sim_scenario_test|Recovery.ADelaySpike*
what comes untouched is congestion|stack/tcp/subflow_undo.cc|s/      in_recovery_ \&\& !undo_.retransmitted .*/      false;/|sim_scenario_test|Recovery.*FirstWindow*
what data has no room to tell is lost|stack/tcp/subflow_recovery.cc|s/  const bool eager = sacks_told_ \&\& /  const bool eager = /|sim_scenario_test|*PathMtuFiltered*without_segmentation*
F-RTO off|stack/tcp/subflow_recovery.cc|s/  frto_ = anew \&\& !reneged;/  frto_ = false;/|unit_tcp|Frto.*
tail loss probe off|stack/tcp/subflow_recovery.cc|s/  if (now + wait < retransmit_.deadline()) probe_.Set(now + wait);//|unit_tcp|*TailLoss*
window halves at once, no PRR|stack/tcp/subflow_recovery.cc|s/^    ReduceProportionally(news, more_lost);/    congestion_->set_cwnd(congestion_->ssthresh());/|unit_tcp|ProportionalReduction.*
reneging not noticed|stack/tcp/subflow_recovery.cc|s/  const bool reneged = .*/  const bool reneged = false;/|unit_tcp|Reneging.*
RTO of Karn's algorithm only|stack/tcp/subflow_ack.cc|s/    if (ticks < kNonsense) rtt_.Sample(.*);//|unit_tcp|RoundTripTime.*
HyStart++ sees no round trips|stack/tcp/subflow_ack.cc|s/    congestion_->OnRtt(.*);//|unit_tcp|CongestionWindow.*
bursts, not paced|stack/tcp/subflow_output.cc|s/  if (config_.policy.pacing \&\& !pacer_.Ready(now)) return 0;//|sim_scenario_test|Recovery.PacingSpares*
window kept over an idle time|stack/tcp/subflow_output.cc|s/  if (sent_.empty() \&\& rtt_.valid()) congestion_->OnIdle(.*);//|unit_tcp|CongestionWindow.*
window grows unused|stack/tcp/subflow_recovery.cc|s/news.delivered > 0 \&\& (cwnd_limited_ .. in_loss_)/news.delivered > 0/|unit_tcp|CongestionWindow.*
subflows not coupled|stack/mptcp/join.cc|s/^  own.congestion_group = .*//|sim_coupling_test|*lia
who timed out stays coupled|stack/tcp/subflow_recovery.cc|s/^  congestion_->OnSilence();//|unit_tcp|CongestionGroup.*
who is idle stays coupled|stack/tcp/congestion_group.h|s/m->counts \&\& m->heard .* self.heard/m->counts/|unit_tcp|CongestionGroup.*
who recovers seen as it is|stack/tcp/congestion.h|s/reducing ? ssthresh_ : cwnd_/cwnd_/|unit_tcp|CongestionGroup.*
LIA faster than TCP on a path|stack/tcp/lia.cc|s/  return std::min(best .*/  return best \/ (sum * sum);/|unit_tcp|Lia.*
OLIA moves no window|stack/tcp/olia.cc|s/ + Alpha() . self().window;/;/|unit_tcp|Olia.*
OLIA's shrinking begins slow start|stack/tcp/congestion.h|s/^      ssthresh_ = std::min(ssthresh_, cwnd_);.*//|unit_tcp|Olia.*
BALIA always halves|stack/tcp/balia.cc|s/std::min(Alpha(), kMost)/1.0/|unit_tcp|Balia.*
ECN's echo ignored|stack/tcp/subflow_ack.cc|s/  TakeCongestionEcho(segment);//|sim_scenario_test|Recovery.Congestion*
Nagle off|stack/mptcp/data_send.cc|s/    switch (nagle_.OfShort(end, una_)) {/    switch (Nagle::Wait::kNo) {/|sim_scenario_test|*Nagle*
MSG_MORE ignored|stack/mptcp/connection_impl.cc|s/  nagle_.SetMore(coming == Coming::kLater);//|sim_scenario_test|*More*
cork without an end|stack/mptcp/data_send.cc|s/          cork_timer_.Set(now + Nagle::kCorked);//|sim_scenario_test|*Cork*
window told byte by byte|stack/tcp/subflow_window.cc|s/  const uint64_t told = .*/  const uint64_t told = std::max(window, promised);/|unit_tcp|Window.*
ACKs never delayed|stack/tcp/subflow_window.cc|s/  if (ack_now_ .. acks_.AtOnce(unacked_bytes_)) return SendAck(now);/  return SendAck(now);/|unit_tcp|Arrival.*
receive window does not grow|stack/mptcp/receive_tuning.cc|s/^  size_ = std::max(.*);//|sim_scenario_test|*Autotuning*
keepalive without an end|stack/tcp/keepalive.cc|s/  if (over) return {.give_up = true};//|sim_scenario_test|*Keepalive*
user timeout without effect|stack/tcp/keepalive.cc|s/  return now >= user_timeout_.Deadline(snd_una_, config_.patience);/  return false;/|sim_scenario_test|*UserTimeout*
orphans without bound|stack/host.cc|s/  if (orphans_ >= config_.max_orphans) {/  if (false) {/|sim_scenario_test|*OrphanBound*
TIME-WAITs without bound|stack/tcp/subflow_state.cc|s/    if (budget->used < budget->limit) {/    if (true) {/|sim_scenario_test|*TimeWait*
ICMP of other packets believed|stack/tcp/subflow_icmp.cc|s/state_ == TcpState::kClosed .. error.seq < snd_una_ .. error.seq >= snd_nxt_/state_ == TcpState::kClosed/|unit_tcp|Icmp.*
ICMP errors of a SYN ignored|stack/tcp/subflow_icmp.cc|s/  if (state_ == TcpState::kSynSent) return Finish(now, reason, nullptr);//|sim_scenario_test|*IcmpErrors*
back-off not reverted|stack/tcp/subflow_icmp.cc|s/^  --backoff_;//|sim_scenario_test|*IcmpErrors*outage_that_routers*
black hole not noticed|stack/tcp/subflow_icmp.cc|s/  if (!path_mtu_.OnTimeout(.*)) return;/  return;/|sim_scenario_test|*PathMtuFiltered*
no search upwards|stack/tcp/subflow_input.cc|s/  probe_payload_ = ProbePayload(now);//|sim_scenario_test|*PathMtu*grows_back*
SACK blocks crowd out the rest|stack/tcp/option_space.cc|s/  while (options->sack_count > 0 .*//|unit_tcp|OptionSpace.*
any number is a cookie|stack/syn_cookie.cc|s/    if (ConstantTimeEqual(given, expected)) return cookie;/    return cookie;/|sim_scenario_test|*RefusedCookie*
cookies forget the window scale|stack/syn_cookie.cc|s/  if (scale != kNoScale) o.window_scale = scale;//|sim_scenario_test|*Flood*large_window*
data beyond a FIN delivered|stack/tcp/subflow_input.cc|s/  bytes = BeforeFin(begin, bytes);//|unit_tcp|Close.*
RST anywhere in the window accepted|stack/tcp/subflow_input.cc|s/if (segment.seq != rcv_nxt_) return ChallengeAck(now);//|unit_tcp|Reset.*
ACK of what was never sent accepted|stack/tcp/subflow_input.cc|s/if (!AckIsPlausible(segment)) return ChallengeAck(now);//|unit_tcp|Ack.*
challenge ACKs without limit|stack/tcp/subflow_output.cc|s/^  --challenges_left_;//|unit_tcp|Reset.*
key taken from any user|engine/relays.cc|s/    if (uid != 0 \&\& relay->program().uid != uid) continue;//|unit_engine|*Random*:*Key*
engine's last byte not held back|engine/relay.cc|s/ReceiveMarked(socket_.get(), \&peek, MSG_PEEK, \&marked)/ReceiveMarked(socket_.get(), \&peek, 0, \&marked)/|unit_engine|*Relay*
clean end of the engine a reset|engine/relay.cc|s/        if (held_back_) Discard(socket_.get(), pad_left_ + 1);//|unit_engine|*Relay*
unread bytes of the program forgotten|engine/relay.cc|s/if (program_reset_ || discarded_ ||/if (discarded_ ||/|unit_engine|*Relay*
other version served|engine/control_peer.cc|s/header.magic == control::kMagic \&\& header.version != control::kVersion/false/|unit_engine|*Control*
dangerous socket options allowed|engine/socket_options.cc|s/if (kernel_socket < 0 || !IsKnown(request)) return Failure(ENOPROTOOPT);/if (kernel_socket < 0) return Failure(ENOPROTOOPT);/|unit_engine|*Option*
a stranger's connection accepted|shim/accept.cc|s/(peer.uid == 0 || peer.uid == geteuid())/true/|unit_shim|Listening.AnotherUser*
connection's blocks leaked|stack/buffer.cc|s/  if (head_ == tail_) blocks_.clear();//|unit_stack|SendBuffer.*
TABLE
}

work=$(mktemp -d /tmp/mptcptls-mutants-XXXXXX)
trap 'rm -rf "$work"' EXIT
# Tracked files as they are now, without build trees.
git ls-files -z | tar --null -T - -cf - | tar -C "$work" -xf -
cd "$work"
sed -i 's/ -Werror//' CMakeLists.txt  # a broken line may leave a name unused
CCACHE_BASEDIR=$work cmake --preset dev >/dev/null
export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1

wanted() {
  [ $# -eq 1 ] && return 0
  local name=$1 word
  shift
  for word in "$@"; do [[ $name == *"$word"* ]] && return 0; done
  return 1
}

# The tests must hold before anything is broken.
programs=$(mutants | sed 's/|[^|]*$//; s/.*|//' | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086
ninja -C build/dev $programs >build.log 2>&1 || { tail -20 build.log >&2; exit 1; }

printf '| %-36s | %-60s |\n|%s|%s|\n' "mutant" "noticed by" "---" "---"
survivors=0 count=0
while IFS='|' read -r line; do
  # The sed expression may contain "||": fields are taken from both ends.
  name=${line%%|*} rest=${line#*|}
  file=${rest%%|*} rest=${rest#*|}
  filter=${rest##*|} rest=${rest%|*}
  program=${rest##*|} expression=${rest%|*}
  wanted "$name" "$@" || continue
  count=$((count + 1))
  # Nothing selected would pass.
  selected=$("build/dev/bin/$program" --gtest_list_tests --gtest_filter="$filter" | grep -c '^  ') || true
  if [ "$selected" -eq 0 ]; then
    echo "mutants.sh: '$name': the filter $filter selects no test of $program" >&2
    exit 2
  fi
  cp "$file" saved
  sed -i "$expression" "$file"
  if cmp -s "$file" saved; then
    echo "mutants.sh: '$name': the line is gone from $file" >&2
    exit 2
  fi
  if ! ninja -C build/dev "$program" >build.log 2>&1; then
    echo "mutants.sh: '$name' does not compile:" >&2
    grep -m3 error build.log >&2 || tail -5 build.log >&2
    exit 2
  fi
  # A mutant may hang or crash: that is noticed as well.
  if timeout 120 "build/dev/bin/$program" --gtest_filter="$filter" --gtest_brief=1 >test.log 2>&1; then
    verdict="SURVIVED"
    survivors=$((survivors + 1))
  else
    verdict=$(sed -n 's/^\[  FAILED  \] \([^, ]*\).*/\1/p' test.log | head -1)
    verdict="$program ${verdict:-(crash or hang)}"
  fi
  printf '| %-36s | %-60s |\n' "$name" "$verdict"
  cp saved "$file"
done < <(mutants)
[ "$count" -gt 0 ] || { echo "mutants.sh: no mutant has such a name" >&2; exit 2; }
echo "$count mutants, $survivors survived (tree: $root)"
[ "$survivors" -eq 0 ]
