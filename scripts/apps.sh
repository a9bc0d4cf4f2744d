#!/bin/bash
# Installs what is missing (install-deps.sh --apps), builds, and lets real programs from Debian do their
# job with the product preloaded: a table of what they do. Options: apps.sh --help.
source "$(dirname "$0")/common.sh"

apps=$ROOT/build/release/bin/mptcptls-apps
case ${1:-} in
  -h | --help)
    if [ -x "$apps" ]; then exec "$apps" --help; fi
    sed -n '2,3s/^# //p' "$0"
    exit 0
    ;;
  --list)
    if [ -x "$apps" ]; then exec "$apps" --list; fi
    ;;
esac
require_lab
"$ROOT/scripts/install-deps.sh" --apps
build_preset release mptcptls-apps mptcptls mptcptlsd mptcptls_shim
say "apps"
exec "$apps" "$@"
