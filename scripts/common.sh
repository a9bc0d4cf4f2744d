# shellcheck shell=bash
# Shared by the scripts here; source it, do not run it.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(nproc)}

say() { printf '\n== %s\n' "$*"; }

# fail CAUSE REMEDY: both belong to every error message.
fail() {
  printf 'error: %s\n       %s\n' "$1" "$2" >&2
  exit 1
}

require_root() {
  [ "$(id -u)" = 0 ] || fail "this needs root (namespaces, TUN, nftables), you are $(id -un)" \
    "run it as root: sudo $0"
}

# Root, a TUN device that opens, and network namespaces: what every whole-system test needs.
require_lab() {
  require_root
  [ -c /dev/net/tun ] || fail "/dev/net/tun does not exist" \
    "load the module (modprobe tun); in a container, pass the device in (--device /dev/net/tun)"
  (: <>/dev/net/tun) 2>/dev/null || fail "/dev/net/tun cannot be opened" \
    "allow the device for this container or user"
  unshare --net true 2>/dev/null || fail "network namespaces cannot be created" \
    "use a kernel with CONFIG_NET_NS; in a container, grant CAP_SYS_ADMIN (--privileged)"
}

install_dependencies() { "$ROOT/scripts/install-deps.sh"; }

# build_preset PRESET [TARGET...]: configures when needed and builds, with ninja's own progress line.
build_preset() {
  local preset=$1
  shift
  local directory=$ROOT/build/$preset
  say "build ($preset)"
  if [ ! -f "$directory/build.ninja" ]; then
    (cd "$ROOT" && cmake --preset "$preset" >"/tmp/mptcptls-configure.$$" 2>&1) || {
      cat "/tmp/mptcptls-configure.$$" >&2
      rm -f "/tmp/mptcptls-configure.$$"
      fail "cmake could not configure preset $preset" "read the message above; see scripts/install-deps.sh"
    }
    rm -f "/tmp/mptcptls-configure.$$"
  fi
  ninja -C "$directory" -j "$JOBS" "$@"
}
