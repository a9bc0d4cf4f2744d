#!/bin/bash
# Installs what is missing, builds, and attacks: an observer of path 1 tries to get into a download, once
# under TLS keys and once under RFC 8684's; a table of what held. Options: attack.sh --help.
source "$(dirname "$0")/common.sh"

attack=$ROOT/build/release/bin/mptcptls-attack
case ${1:-} in
  -h | --help)
    if [ -x "$attack" ]; then exec "$attack" --help; fi
    sed -n '2,3s/^# //p' "$0"
    exit 0
    ;;
esac
require_lab
install_dependencies
build_preset release mptcptls-attack mptcptls mptcptlsd mptcptls_shim
say "attack"
exec "$attack" "$@"
