#!/bin/sh
# Runs random scenarios on the simulated network (tests/README.md).
#   scripts/sim.sh                    1,000 seeds
#   scripts/sim.sh --seeds 1..20000   a range; or a number N for 1..N
#   scripts/sim.sh --seed 17          one seed, with a summary; --trace prints every packet
# PRESET chooses the build (release). All options: scripts/sim.sh --help.
set -eu
cd "$(dirname "$0")/.."
preset=${PRESET:-release}
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >&2
ninja -C "build/$preset" sim_random >&2
case " $* " in
  *" --seed "* | *" --jobs "* | *" --hashes "* | *" --help "*) exec "build/$preset/bin/sim_random" "$@" ;;
  *) exec "build/$preset/bin/sim_random" --jobs "$(nproc)" "$@" ;;
esac
