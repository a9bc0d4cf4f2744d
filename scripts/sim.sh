#!/bin/sh
# Runs random scenarios on the simulated network (tests/README.md).
#   scripts/sim.sh                    1,000 seeds
#   scripts/sim.sh --seeds 1..20000   a range; or a number N for 1..N
#   scripts/sim.sh --seed 17          one seed, with a summary; --trace prints every packet,
#                                     --print what it draws, as a scenario file
#   scripts/sim.sh --scenario FILE    one file of the scenario language (tests/sim/scenarios)
# PRESET chooses the build (release). All options: scripts/sim.sh --help.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
preset=${PRESET:-release}
[ -f "$root/build/$preset/build.ninja" ] || (cd "$root" && cmake --preset "$preset") >&2
ninja -C "$root/build/$preset" sim_random >&2
case " $* " in
  *" --seed "* | *" --jobs "* | *" --hashes "* | *" --help "* | *" --scenario "* | *" --print "*) ;;
  *) set -- --jobs "$(nproc)" "$@" ;;
esac
exec "$root/build/$preset/bin/sim_random" "$@"
