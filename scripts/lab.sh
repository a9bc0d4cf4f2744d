#!/bin/bash
# The lab of the tests, by hand: lab.sh up|down|exec HOST COMMAND...|status|emulate; see --help.
source "$(dirname "$0")/common.sh"

# Built quietly, and only when it is not there: the first use alone waits for it.
lab=$ROOT/build/release/bin/mptcptls-lab
if [ ! -x "$lab" ] || [ ! -x "$ROOT/build/release/bin/mptcptls-linkemu" ]; then
  install_dependencies >&2
  build_preset release mptcptls-lab mptcptls-linkemu >&2
fi
case ${1:---help} in
  -h | --help) exec "$lab" --help ;;
esac
require_lab
exec "$lab" "$@"
