#!/bin/bash
# Measures the product beside the kernel's TCP and MPTCP: bench.sh throughput|tcp|fairness|multipath|events|shim [OPTIONS].
# Builds what it needs; all options of a verb: bench.sh VERB --help.
source "$(dirname "$0")/common.sh"

bench=$ROOT/build/release/bin/mptcptls-bench
case " ${*:---help} " in
  *" -h "* | *" --help "*)
    if [ -x "$bench" ]; then exec "$bench" "${@:---help}"; fi
    sed -n '2,3s/^# //p' "$0"
    exit 0
    ;;
esac
require_lab
install_dependencies
build_preset release mptcptls-bench mptcptls mptcptlsd mptcptls_shim
say "bench"
exec "$bench" "$@"
