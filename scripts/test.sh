#!/bin/bash
# Installs what is missing, builds, and runs every test and the linters.
#   scripts/test.sh           everything: linters, unit and simulation tests with AddressSanitizer and
#                             UBSan, fuzzers' smoke runs, then all tests (unit, simulation, namespaces)
#   scripts/test.sh --quick   unit and simulation tests only
# Exit status 0 means that everything passed; no test is skipped.
source "$(dirname "$0")/common.sh"

# The ctest labels that need no root.
PORTABLE='^(unit|sim)$'

usage() { sed -n '2,6s/^# \{0,1\}//p' "$0"; }

PORTABLE_TARGETS=(tests/unit/all tests/sim/all)

run_ctest() {
  local preset=$1
  shift
  ctest --test-dir "$ROOT/build/$preset" --output-on-failure -j "$JOBS" --timeout 300 "$@"
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
  say "$name"
  "$@" || failed+=("$name")
}

sanitized() {
  build_preset asan "${PORTABLE_TARGETS[@]}" && run_ctest asan -L "$PORTABLE"
}

fuzz_smoke() {
  build_preset fuzz tests/fuzz/all && run_ctest fuzz -L '^fuzz$'
}

everything() {
  require_lab
  install_dependencies
  build_preset release
  step "linters" "$ROOT/scripts/lint.sh"
  step "unit and simulation tests with sanitizers" sanitized
  if [ -d "$ROOT/tests/fuzz" ]; then step "fuzzers" fuzz_smoke; fi
  # Last, so that the output ends with ctest's own summary.
  step "all tests" run_ctest release
  [ ${#failed[@]} = 0 ] || fail "failed: ${failed[*]}" "look above for each"
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
