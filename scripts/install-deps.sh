#!/bin/bash
# Installs the Debian packages that building, testing and the demo need and that are missing; with
# --apps also the programs of the whole matrix of scripts/apps.sh, with --conformance the suites of
# scripts/conformance.sh.
# When nothing is missing it makes no apt call. Services of installed packages are not started.
source "$(dirname "$0")/common.sh"

if [ "${1:-}" = --help ]; then
  sed -n '2,5s/^# //p' "$0"
  exit 0
fi

PACKAGES=(
  # compiler, build, linters
  build-essential cmake ninja-build pkg-config ccache mold git
  clang-14 clang-tidy clang-format libclang-rt-14-dev llvm-14
  # libraries
  libssl-dev libgnutls28-dev libtins-dev libpcap-dev libabsl-dev libgtest-dev libgmock-dev libnl-3-dev
  libnl-route-3-dev libnftables-dev libspdlog-dev libfmt-dev libcli11-dev nlohmann-json3-dev
  libtomlplusplus-dev
  # programs that the tests and the demo run
  nginx-light curl wget gnutls-bin openssl ca-certificates iproute2 nftables iptables tcpdump tshark
  iperf3 ethtool iputils-ping procps util-linux libcap2-bin shellcheck mptcpize python3 libjemalloc2
  # the real programs of the tests in tests/apps
  apache2-bin haproxy redis-server postgresql-15 nodejs
)
# The other ones of scripts/apps.sh.
APPS=(
  wrk apache2-utils nghttp2-client lftp stunnel4 socat ncat rsync openssh-server openssh-client
  postfix dovecot-imapd isync slapd ldap-utils perl libio-socket-ssl-perl ruby php-cli
  openjdk-17-jdk-headless
)
CONFORMANCE=(libpython3.11-testsuite)
case ${1:-} in
  --apps) PACKAGES+=("${APPS[@]}") ;;
  --conformance) PACKAGES+=("${CONFORMANCE[@]}") ;;
esac

missing=()
for package in "${PACKAGES[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  [ "${status:0:2}" = ii ] || missing+=("$package")
done
# Any nginx with its DAV module does (nginx-core and nginx-full conflict with nginx-light).
if nginx -V 2>&1 | grep -q with-http_dav_module; then
  kept=()
  for package in "${missing[@]}"; do [ "$package" = nginx-light ] || kept+=("$package"); done
  missing=("${kept[@]}")
fi
if [ ${#missing[@]} = 0 ]; then
  echo "dependencies: all installed"
  exit 0
fi

require_root
echo "dependencies: installing ${missing[*]}"
# invoke-rc.d asks this program before it starts a service: 101 says no. Put back what was there.
policy=/usr/sbin/policy-rc.d
saved=
restore_policy() {
  rm -f "$policy"
  if [ -n "$saved" ]; then mv "$saved" "$policy"; fi
}
if [ -e "$policy" ] || [ -L "$policy" ]; then
  saved=$policy.mptcptls.$$
  mv "$policy" "$saved"
fi
trap restore_policy EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || fail "apt-get update failed" "check the network and /etc/apt/sources.list"
# Never in the place of another package: who has another mail server shall keep it.
apt-get install -y -qq --no-install-recommends --no-remove "${missing[@]}" ||
  fail "apt-get could not install: ${missing[*]}" \
    "this needs Debian 12 (bookworm) with its main archive, and no package that conflicts with these"
