// One counter per protocol event, each described in one line; names follow the kernel's MIB where
// it has one. Tests assert them, `mptcptls status --json` shows them. Nothing is dropped uncounted.
#ifndef MPTCPTLS_STACK_COUNTERS_H_
#define MPTCPTLS_STACK_COUNTERS_H_

#include <cstdint>

namespace mptcptls {

// X(name, description)
#define MPTCPTLS_COUNTERS(X)                                                             \
  X(packets_in, "IP packets taken in")                                                   \
  X(packets_out, "IP packets sent")                                                      \
  X(drop_malformed, "packets that no header parser accepted")                            \
  X(drop_checksum, "packets with a wrong checksum")                                      \
  X(drop_fragment, "IP fragments")                                                       \
  X(drop_not_tcp, "packets of another protocol")                                         \
  X(drop_no_connection, "segments for no connection and no listener (answered by RST)")  \
  X(drop_limits, "SYNs ignored because a table or a backlog was full")                   \
  X(syncookies_sent, "SYNs answered by a SYN cookie, as the queue was full")             \
  X(syncookies_received, "connections made from a SYN cookie that came back")            \
  X(syncookies_failed, "ACKs that returned a forged or stale SYN cookie")                \
  X(time_wait_overflow, "TIME-WAITs cut short because there were too many")              \
  X(time_wait_reused, "TIME-WAITs ended by a new connection (RFC 6191)")                 \
  X(drop_out_of_window, "segments outside the receive window (answered by ACK)")         \
  X(drop_paws, "segments refused by timestamps (RFC 7323 5)")                            \
  X(drop_memory, "payload dropped because a bounded queue was full")                     \
  X(options_malformed, "options of kind 30 ignored as malformed")                        \
  X(delayed_acks, "acknowledgements sent when their delay ran out")                      \
  X(receive_buffer_grown, "receive buffers made larger for a fast reader")               \
  X(challenge_acks, "challenge ACKs sent (RFC 5961)")                                    \
  X(challenge_acks_limited, "challenge ACKs withheld by the rate limit")                 \
  X(segments_retransmitted, "segments sent again")                                       \
  X(bytes_retransmitted, "payload bytes sent again on the same subflow")                 \
  X(rto_fired, "retransmission timeouts")                                                \
  X(fast_recoveries, "recoveries entered by SACK or duplicate ACKs")                     \
  X(tlp_sent, "tail loss probes")                                                        \
  X(dsack_received, "reports of what arrived twice (RFC 2883)")                          \
  X(spurious_recoveries, "recoveries undone: what seemed lost was late")                 \
  X(spurious_timeouts, "timeouts undone (RFC 5682, RFC 4015)")                           \
  X(congestion_echoes, "windows reduced because the network marked (RFC 3168)")          \
  X(zero_window_probes, "window probes sent")                                            \
  X(keepalive_probes, "keepalive probes sent")                                           \
  X(keepalive_timeouts, "subflows ended because no keepalive probe was answered")        \
  X(orphans_reset, "connections reset because too many had lost their program")          \
  X(resets_sent, "RST segments sent")                                                    \
  X(resets_received, "RST segments accepted")                                            \
  X(icmp_errors, "ICMP errors that matched a subflow")                                   \
  X(icmp_ignored, "ICMP errors that matched nothing in flight")                          \
  X(rto_reverted, "back-off steps taken back because of ICMP (RFC 6069)")                \
  X(mtu_reduced, "path MTUs lowered by ICMP")                                            \
  X(mtu_black_holes, "path MTUs lowered because full-sized packets had no answer")       \
  X(mtu_probes, "path MTU probes sent (RFC 4821)")                                       \
  X(mtu_probes_delivered, "path MTU probes acknowledged")                                \
  X(mtu_probes_lost, "path MTU probes lost")                                             \
  X(capable_tls_auth, "connections in TLS-auth mode")                                    \
  X(capable_keys, "connections in RFC 8684 mode")                                        \
  X(capable_tcp, "connections in plain TCP")                                             \
  X(fallbacks, "connections that fell back to plain TCP after the handshake")            \
  X(weaker_answers, "weaker answers from a destination known as tls-auth")               \
  X(joins_sent, "MP_JOIN SYNs sent")                                                     \
  X(joins_accepted, "subflows joined")                                                   \
  X(joins_parked, "MP_JOIN SYNs parked until the key is there")                          \
  X(joins_park_overflow, "MP_JOIN SYNs dropped because the parking bounds were reached") \
  X(joins_refused_token, "MP_JOIN with an unknown token")                                \
  X(joins_refused_hmac, "MP_JOIN with a wrong HMAC")                                     \
  X(joins_refused_policy, "MP_JOIN refused by policy or limits")                         \
  X(add_addr_received, "ADD_ADDR accepted")                                              \
  X(add_addr_refused, "ADD_ADDR with a wrong HMAC or beyond the limits")                 \
  X(mp_prio_sent, "MP_PRIO sent: a subflow became a backup, or none any more")           \
  X(new_key_sent, "NEW_KEY sent: we hold the key")                                       \
  X(new_key_received, "NEW_KEY taken: the peer holds the same key")                      \
  X(new_key_refused, "NEW_KEY by another key than ours")                                 \
  X(fastclose_refused, "MP_FASTCLOSE with a wrong tag")                                  \
  X(bytes_reinjected, "payload bytes sent again on another subflow")                     \
  X(subflows_penalised, "windows halved, as what was on them held other subflows up")    \
  X(stalls_ended, "subflows whose bytes the stream had waited for too long")             \
  X(data_duplicate, "payload bytes received twice at the data level")                    \
  X(mapping_errors, "payload without a mapping or with a contradicting one")             \
  X(checksum_errors, "DSS checksum failures")                                            \
  X(mp_fail_sent, "MP_FAIL sent: a checksum was wrong, or in answer to one")             \
  X(mp_fail_received, "MP_FAIL taken: the peer falls back")                              \
  X(bugs, "states that cannot happen, each logged")

struct Counters {
#define MPTCPTLS_COUNTER_FIELD(name, description) uint64_t name = 0;
  MPTCPTLS_COUNTERS(MPTCPTLS_COUNTER_FIELD)
#undef MPTCPTLS_COUNTER_FIELD
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_COUNTERS_H_
