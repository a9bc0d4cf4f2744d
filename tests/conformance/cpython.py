#!/usr/bin/env python3
"""Runs suites of CPython's own tests without the product, with it preloaded, and with it preloaded
under MPTCPTLS_CAPTURE=all, where their connections within this host go through the engine; prints
what came out differently, test by test. Exit status 0 means: as without it, but for the exceptions
listed, with their reasons, in cpython_exceptions.txt. Started by scripts/conformance.sh in a lab.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

SUITES = ["test_socket", "test_ssl", "test_asyncio", "test_selectors", "test_httplib", "test_ftplib",
          "test_imaplib", "test_smtplib", "test_poplib"]
WAYS = {"kernel": None, "default": {}, "all": {"MPTCPTLS_CAPTURE": "all"}}
HERE = pathlib.Path(__file__).parent
# VSOCK, which the tests below leave out, hangs in virtual machines without a device for it.
# A test that came out differently is run again this often, both ways: chance is no difference.
AGAIN = 2
TIME_LIMIT = 1800  # seconds for a suite; CPython's own are done in two minutes


def environment(way, build):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MPTCPTLS_", "LD_PRELOAD"))}
    if WAYS[way] is not None:
        env.update(WAYS[way], LD_PRELOAD=f"{build}/lib/libmptcptls.so",
                   MPTCPTLS_ENGINE=f"{build}/bin/mptcptlsd")
    return env


def packets(build):
    """How many came to the engine until now; 0 where none runs."""
    status = subprocess.run([f"{build}/bin/mptcptls", "status", "--json"], capture_output=True,
                            check=False)
    return json.loads(status.stdout)["counters"]["packets_in"] if status.returncode == 0 else 0


def run(suite, way, build, folder, tests=()):
    """Outcomes ("passed", "failed", "skipped") by the tests' names."""
    report = pathlib.Path(folder, "report.xml")
    report.unlink(missing_ok=True)
    # regrtest replaces a relative name by one of its own temporary folder.
    command = [sys.executable, "-m", "test", "-v", "--timeout", "300", "--junit-xml", str(report),
               "--ignore", "*VSOCK*"]
    for test in tests:
        command += ["-m", test]
    log = pathlib.Path(folder, f"{suite}.{way}.log")
    with open(log, "ab") as out:
        try:
            subprocess.run([*command, suite], env=environment(way, build), stdout=out, stderr=out,
                           stdin=subprocess.DEVNULL, timeout=TIME_LIMIT, cwd=folder, check=False)
        except subprocess.TimeoutExpired:
            pass
    try:
        cases = xml.etree.ElementTree.parse(report).iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        tail = log.read_text(errors="replace").splitlines()[-30:]
        sys.exit(f"error: {suite} ({way}) did not come to its end:\n" + "\n".join(tail) +
                 f"\nall it said is in {log}")
    outcomes = {}
    for case in cases:
        children = {child.tag for child in case}
        outcome = ("failed" if children & {"failure", "error"} else
                   "skipped" if "skipped" in children else "passed")
        # A test has several entries where its subtests fail.
        if outcomes.get(case.get("name")) != "failed":
            outcomes[case.get("name")] = outcome
    return outcomes


def differences(suite, way, base, build, folder):
    """The outcomes of `way`, and by name what differs from the kernel's every time."""
    outcomes = run(suite, way, build, folder)
    different = {name for name in base.keys() | outcomes.keys()
                 if base.get(name) != outcomes.get(name)}
    seen = {name: ({base.get(name, "absent")}, {outcomes.get(name, "absent")})
            for name in different}
    for _ in range(AGAIN):
        if not different:
            break
        for index, again in enumerate(("kernel", way)):
            result = run(suite, again, build, folder, sorted(different))
            for name in different:
                seen[name][index].add(result.get(name, "absent"))
        # What came out the same way at least once is a matter of chance.
        different = {name for name in different if not seen[name][0] & seen[name][1]}
    return outcomes, {name: f"{'/'.join(sorted(seen[name][0]))} -> {'/'.join(sorted(seen[name][1]))}"
                      for name in different}


def read_exceptions(file):
    """{(test, way): reason}; a line is: WAY TEST: REASON."""
    exceptions = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, colon, reason = line.partition(": ")
        words = head.split()
        if not colon or len(words) != 2 or words[0] not in (*WAYS, "both"):
            sys.exit(f"error: {file}:{number}: not of the form `default|all|both TEST: REASON`")
        for way in ("default", "all") if words[0] == "both" else (words[0],):
            exceptions[words[1], way] = reason
    return exceptions


def summary(outcomes):
    count = collections.Counter(outcomes.values())
    return f"{count['passed']:5} passed {count['failed']:3} failed {count['skipped']:4} skipped"


def main():
    parser = argparse.ArgumentParser(prog="conformance.sh cpython", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("suites", nargs="*", metavar="SUITE", default=SUITES,
                        help="of CPython's; without one: " + " ".join(SUITES))
    options = parser.parse_args()
    exceptions = read_exceptions(HERE / "cpython_exceptions.txt")
    folder = tempfile.mkdtemp(prefix="mptcptls-cpython-")
    wrong, excused = [], []
    for number, suite in enumerate(options.suites, 1):
        began = time.monotonic()
        base = run(suite, "kernel", options.build, folder)
        print(f"{suite:16} kernel   {summary(base)}", flush=True)
        for way in ("default", "all"):
            before = packets(options.build)
            outcomes, different = differences(suite, way, base, options.build, folder)
            print(f"{suite:16} {way:8} {summary(outcomes)}, {len(different)} differ, "
                  f"{packets(options.build) - before} packets", flush=True)
            for name, what in sorted(different.items()):
                reason = exceptions.pop((name, way), None)
                (wrong if reason is None else excused).append((way, name, what, reason))
            for name, listed in list(exceptions):
                if listed == way and name in base:
                    wrong.append((way, name, "as without it, but it is listed as an exception",
                                  exceptions.pop((name, listed))))
        print(f"{number} of {len(options.suites)} suites, {time.monotonic() - began:.0f} s",
              file=sys.stderr, flush=True)
    for title, rows in (("Exceptions", excused), ("NOT AS WITHOUT THE PRODUCT", wrong)):
        if rows:
            print(f"\n{title}:")
        for way, name, what, reason in rows:
            print(f"  {way:8} {name}: {what}" + (f"\n           {reason}" if reason else ""))
    print(f"\nwhat the tests said: {folder}/SUITE.WAY.log")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
