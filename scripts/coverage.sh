#!/bin/bash
# Prints how many lines of stack/tcp the unit and simulation tests run, and fails below 90 %.
#   scripts/coverage.sh               builds (preset coverage), runs, prints the table
#   scripts/coverage.sh --lines FILE  then also the lines of this file that nothing ran
#   LEAST=95 SEEDS=500                another bound; how many random seeds take part (200)
source "$(dirname "$0")/common.sh"

LEAST=${LEAST:-90}
SEEDS=${SEEDS:-200}
TARGETS=(unit_tcp sim_tcp_test sim_scenario_files_test sim_random)

usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }

run_tests() {
  local bin=$ROOT/build/coverage/bin
  find "$ROOT/build/coverage" -name '*.gcda' -delete
  say "unit and simulation tests"
  for test in unit_tcp sim_tcp_test sim_scenario_files_test; do
    "$bin/$test" --gtest_brief=1 || fail "$test failed" "make it pass first: coverage of a failure says nothing"
  done
  "$bin/sim_random" --seeds "$SEEDS" || fail "a seed failed" "replay it as printed above"
}

# gcov's own account, a JSON document for each object file, summed up by line.
report() {
  local directory=$ROOT/build/coverage/stack/CMakeFiles/stack.dir/tcp
  compgen -G "$directory/*.gcda" >/dev/null || fail "no counts in $directory" "run the tests first"
  (cd "$directory" && gcov --stdout --json-format ./*.gcda 2>/dev/null) |
    python3 "$ROOT/scripts/coverage_report.py" --root "$ROOT" --under stack/tcp --least "$LEAST" "$@"
}

case ${1:-} in
  "" | --lines) ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
build_preset coverage "${TARGETS[@]}"
run_tests
say "lines of stack/tcp that were run"
report "$@"
