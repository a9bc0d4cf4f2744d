#!/bin/bash
# Format, shell scripts, headers that compile alone, and clang-tidy; needs build/release. What has not
# changed since it was last found clean is not looked at again (stamps in build/lint). What clang++
# compiles for the sanitizers has had its warnings, and is no matter of clang-tidy's here: tests/unit,
# tests/sim, tests/fuzz.
source "$(dirname "$0")/common.sh"

case ${1:-} in
  "") ;;
  *)
    sed -n '2,5s/^# //p' "$0"
    exit 0
    ;;
esac
cd "$ROOT"
STAMPS=$ROOT/build/lint
mkdir -p "$STAMPS"

check_format() {
  say "clang-format"
  git ls-files -z '*.cc' '*.h' | xargs -0 clang-format --dry-run -Werror ||
    fail "the files above are not formatted" "run: git ls-files '*.cc' '*.h' | xargs clang-format -i"
}

check_shell() {
  say "shellcheck"
  git ls-files 'scripts/*.sh' .ci/run | xargs shellcheck -S warning -x -P SCRIPTDIR
}

# Prints "SOURCE KEY" for every tracked source of build/release: the key is a hash of the checks, the
# source, and all headers of ours that the compiler read for it.
tidy_keys() {
  local checks
  checks=$(cat .clang-tidy tests/.clang-tidy <(clang-tidy --version) | sha256sum | cut -c1-16)
  git ls-files '*.cc' ':!tests/unit' ':!tests/sim' ':!tests/fuzz' >"$STAMPS/tracked"

  # Content hashes of the working tree, not of the index.
  git ls-files '*.cc' '*.h' | xargs sha256sum >"$STAMPS/hashes"
  ninja -C build/release -t deps |
    awk -v root="$ROOT/" -v checks="$checks" -v hashes="$STAMPS/hashes" -v tracked="$STAMPS/tracked" '
      BEGIN {
        while ((getline line < hashes) > 0) { split(line, part, "  "); hash[part[2]] = part[1] }
        while ((getline line < tracked) > 0) source[line] = 1
      }
      function finish() { if (name in source) print name, key; name = ""; key = checks }
      /^[^ ]/ { finish(); next }
      /^ / {
        file = $1
        sub(/^(\.\.\/)+/, root, file)
        if (index(file, root) != 1) next
        file = substr(file, length(root) + 1)
        if (name == "") name = file
        if (file in hash) key = key " " hash[file]
      }
      END { finish() }' |
    while read -r name key; do
      echo "$name $(sha256sum <<<"$key" | cut -c1-32)"
    done
}

# tidy_one SOURCE KEY: quiet and stamped when clean.
tidy_one() {
  local output
  if output=$(clang-tidy --quiet -p build/release "$1" 2>/dev/null); then
    touch "$STAMPS/$2"
  else
    printf '%s\n' "$output"
    return 1
  fi
}
export -f tidy_one
export STAMPS

check_tidy() {
  say "clang-tidy"
  tidy_keys | while read -r name key; do
    [ -e "$STAMPS/$key" ] || echo "$name $key"
  done | sort -u >"$STAMPS/todo"
  echo "$(wc -l <"$STAMPS/todo") of $(wc -l <"$STAMPS/tracked") sources to look at"
  xargs -r -P "$JOBS" -L 1 bash -c 'tidy_one "$0" "$1"' <"$STAMPS/todo" ||
    fail "clang-tidy found the errors above" "correct them; a check that is wrong here goes into .clang-tidy with its reason"
}

failed=0
for check in check_format check_shell check_tidy; do
  ($check) || failed=1
done
build_preset release headers || failed=1
exit $failed
