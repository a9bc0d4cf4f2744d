#!/usr/bin/env python3
"""Sums up gcov's JSON (one document a line on stdin) by source file; used by coverage.sh."""
import argparse
import json
import os
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--under", required=True, help="folder whose files count")
    parser.add_argument("--least", type=float, required=True, help="percent")
    parser.add_argument("--lines", help="list this file's lines that nothing ran")
    options = parser.parse_args()

    lines = {}  # file: {line: times run}, over every object file that holds code of it
    for document in sys.stdin:
        account = json.loads(document)
        start = account["current_working_directory"]
        for source in account["files"]:
            path = os.path.relpath(os.path.join(start, source["file"]), options.root)
            if not path.startswith(options.under + "/"):
                path = find(source["file"], options)
            if path is None:
                continue
            if not source["lines"]:
                continue  # declarations only
            counts = lines.setdefault(path, {})
            for line in source["lines"]:
                number = line["line_number"]
                counts[number] = counts.get(number, 0) + line["count"]
    if not lines:
        sys.exit("error: gcov named no file of " + options.under)

    print(f"{'file':44} {'lines':>6} {'run':>6} {'%':>6}")
    total = run = 0
    for path in sorted(lines):
        counts = lines[path]
        hit = sum(1 for c in counts.values() if c > 0)
        total += len(counts)
        run += hit
        print(f"{path:44} {len(counts):6} {hit:6} {100 * hit / len(counts):6.1f}")
    percent = 100 * run / total
    print(f"{'all':44} {total:6} {run:6} {percent:6.1f}")
    if options.lines:
        counts = lines.get(options.lines, {})
        print(f"{options.lines}: not run:", *sorted(n for n, c in counts.items() if c == 0))
    if percent < options.least:
        sys.exit(f"error: {percent:.1f} % of the lines were run, at least {options.least:g} % are wanted\n"
                 "       add tests; `scripts/coverage.sh --lines FILE` lists what nothing runs")


def find(name, options):
    """Ninja compiles from the build folder, gcov runs in another: go by the end of the name."""
    at = name.find(options.under + "/")
    return name[at:] if at >= 0 else None


if __name__ == "__main__":
    main()
