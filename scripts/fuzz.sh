#!/bin/sh
# Fuzzes one target for some time; what it finds is left in build/fuzz/found_TARGET.
#   scripts/fuzz.sh TARGET [SECONDS]     TARGET: segment, options, control, control_message, host, key_log, pair,
#                                        state, tls_watch; 60 s
# A crash is written to build/fuzz/crash-*; replay it with build/fuzz/bin/fuzz_TARGET FILE, and keep it, with a
# telling name, in tests/fuzz/corpus/TARGET.
set -eu
cd "$(dirname "$0")/.."
target=${1:-}
seconds=${2:-60}
if [ ! -f "tests/fuzz/fuzz_$target.cc" ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  [ "$target" = --help ] && exit 0
  exit 2
fi
command -v clang++-14 >/dev/null || { echo "fuzz.sh: clang++-14 is missing: apt-get install clang-14" >&2; exit 1; }
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >&2
ninja -C build/fuzz "fuzz_$target" >&2
mkdir -p "build/fuzz/found_$target"
exec "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -artifact_prefix=build/fuzz/ \
  "build/fuzz/found_$target" "tests/fuzz/corpus/$target"
