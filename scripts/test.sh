#!/bin/bash
# Installs what is missing, builds, and runs every test and the linters.
#   scripts/test.sh           everything: unit and simulation tests with AddressSanitizer and UBSan,
#                             fuzzers' smoke runs, tests in namespaces and linters, and without
#                             sanitizers the simulations and the shim's tests with ThreadSanitizer
#   scripts/test.sh --quick   unit and simulation tests only
# Exit status 0 means that everything passed; no test is skipped.
source "$(dirname "$0")/common.sh"

# The ctest labels that need no root.
PORTABLE='^(unit|sim|race)$'
# What takes minutes under sanitizers, and is exercised by others as well: simulations of hundreds of
# megabytes, and each scenario over IPv4 where it has been run over IPv6 (unit tests and random seeds
# have both).
LONG='shrinks_and_grows_back|a_hundred_slow_connections|Recovery\.Re(transmissions|ordering)|_v4( |$)'
# Those that need it.
NAMESPACES='^netns$'

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

PORTABLE_TARGETS=(tests/unit/all tests/sim/all)
# The optimised build has no unit tests, which the sanitizers' build has: compiling them again takes
# minutes, and running them says nothing new.
OPTIMISED='^(sim|race)$'
OPTIMISED_TARGETS=(stack/all tun/all engine/all shim/all unit_shim_race
  tests/sim/all tests/netns/all tests/apps/all tests/bench/all)

outputs=$(mktemp -d)
trap clean_up EXIT

run_ctest() {
  local preset=$1
  shift
  ctest --test-dir "$ROOT/build/$preset" --output-on-failure -j "$JOBS" --timeout 300 "$@" |
    tee -a "$outputs/ctest"
}

# What ctest printed of the tests that failed, once more: where the output is long only its end is seen.
show_failures() {
  awk '/^ *[0-9]+\/[0-9]+ Test +#/ { shown = /\*\*\*/ } /^ +Start +[0-9]+:/ { shown = 0 }
       /^[0-9]+% tests passed/ { shown = 0 } shown && ++lines <= 400' "$outputs/ctest"
}

quick() {
  install_dependencies
  build_preset dev "${PORTABLE_TARGETS[@]}"
  run_ctest dev -L "$PORTABLE"
}

# step NAME COMMAND...: goes on after a failure, so that one run shows them all.
failed=()
step() {
  local name=$1
  shift
  say "$name (after $SECONDS s)"
  "$@" || failed+=("$name")
}

sanitized() {
  build_preset asan "${PORTABLE_TARGETS[@]}" && run_ctest asan -L "$PORTABLE" -E "$LONG"
}

fuzz_smoke() {
  build_preset fuzz tests/fuzz/all && run_ctest fuzz -L '^fuzz$'
}

# The linters take what the processors have left while tests wait (SCHED_IDLE): in namespaces that is
# most of the time.
start_linters() {
  setsid chrt --idle 0 "$ROOT/scripts/lint.sh" >"$outputs/linters" 2>&1 &
  linters=$!
}

clean_up() {
  if [ -n "${linters:-}" ] && kill -0 "$linters" 2>/dev/null; then kill -- -"$linters"; fi
  rm -rf "$outputs"
}

finish_linters() {
  local status=0
  wait "$linters" || status=$?
  cat "$outputs/linters"
  return "$status"
}

everything() {
  require_lab
  install_dependencies
  build_preset release "${OPTIMISED_TARGETS[@]}"
  step "unit and simulation tests with sanitizers" sanitized
  if [ -d "$ROOT/tests/fuzz" ]; then step "fuzzers" fuzz_smoke; fi
  start_linters
  step "tests in namespaces" run_ctest release -L "$NAMESPACES"
  step "linters" finish_linters
  # Last, so that the output ends with ctest's own summary.
  step "simulations, and threads" run_ctest release -L "$OPTIMISED"
  say "after $SECONDS s"
  if [ ${#failed[@]} = 0 ]; then return; fi
  show_failures
  fail "failed: ${failed[*]}" "each test that failed is above; for the linters look at their own step"
}

case ${1:-} in
  "") everything ;;
  --quick) quick ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
