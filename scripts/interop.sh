#!/bin/bash
# Installs what is missing, builds, and lets the product work with this machine's kernel MPTCP, as
# client and as server: a table of what they do together. Options: interop.sh --help.
source "$(dirname "$0")/common.sh"

interop=$ROOT/build/release/bin/mptcptls-interop
case ${1:-} in
  -h | --help)
    if [ -x "$interop" ]; then exec "$interop" --help; fi
    sed -n '2,3s/^# //p' "$0"
    exit 0
    ;;
esac
require_lab
install_dependencies
build_preset release mptcptls-interop mptcptls-linkemu talker mptcptls mptcptlsd mptcptls_shim
say "interop"
exec "$interop" "$@"
