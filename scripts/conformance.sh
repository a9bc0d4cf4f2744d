#!/bin/bash
# Runs other people's test suites with the product preloaded, and without: conformance.sh cpython [SUITE...].
# Installs what is missing (install-deps.sh --conformance) and builds; takes about 15 minutes.
source "$(dirname "$0")/common.sh"

usage() { sed -n '2,3s/^# //p' "$0"; }

case ${1:-} in
  cpython) shift ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
# Debian's python3, whose tests they are, whatever comes first in PATH.
suite=$ROOT/tests/conformance/cpython.py
case " $* " in *" -h "* | *" --help "*) exec /usr/bin/python3 "$suite" --help ;; esac
require_lab
"$ROOT/scripts/install-deps.sh" --conformance
build_preset release mptcptls-lab mptcptls mptcptlsd mptcptls_shim
say "CPython's tests"
name=mptcptls-conformance-$$
lab() { "$ROOT/build/release/bin/mptcptls-lab" --name "$name" "$@"; }
trap 'lab down' EXIT
lab up
lab exec server /usr/bin/python3 "$suite" --build "$ROOT/build/release" "$@"
