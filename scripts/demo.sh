#!/bin/bash
# Installs what is missing, builds, and shows the main job: curl downloads 64 MiB from nginx over two
# shaped links, both programs unmodified, with a table per path. Options: demo.sh --help.
source "$(dirname "$0")/common.sh"

demo=$ROOT/build/release/bin/mptcptls-demo
case ${1:-} in
  -h | --help)
    if [ -x "$demo" ]; then exec "$demo" --help; fi
    sed -n '2,3s/^# //p' "$0"
    exit 0
    ;;
esac
require_lab
install_dependencies
build_preset release mptcptls-demo mptcptls mptcptlsd mptcptls_shim
say "demo"
exec "$demo" "$@"
