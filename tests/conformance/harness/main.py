"""What was asked for, the runs side by side, and what is said of them."""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import sys
import tempfile

from . import archive, sandbox, table, target

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
LAST_LINES = 15
# What is run over SSH when nothing is named: there the way to the host matters.
OVER_SSH = ("modules",)


def main(words: list[str]) -> int:
    """Runs the program and returns its exit code."""
    asked = arguments(words)
    rows = table.rows()
    if asked.list:
        for row in rows:
            print("\t".join((row.name, row.area, row.start, row.result, row.reason)).rstrip())
        return 0
    try:
        source = archive.source(asked.core)
    except archive.Unavailable as reason:
        print(f"conformance: skipped: {reason}")
        return 0
    chosen = choose(rows, asked, source / "test/integration/targets")
    if not chosen:
        print("conformance: no target was chosen", file=sys.stderr)
        return 2
    if asked.connection == "ssh" and not (shutil.which("sshd") or os.path.exists("/usr/sbin/sshd")):
        print("conformance: skipped: sshd is not installed")
        return 0
    if not sandbox.prefix(False):
        print("conformance: no namespaces here: targets that change the machine are skipped")
    program = asked.xplay or newest_program()
    if program is None:
        print("conformance: build xplay first, or say which one with --xplay", file=sys.stderr)
        return 2
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="xplay-conformance-"))
    # An ordinary user that a target becomes must be able to reach its copies.
    scratch.chmod(0o755)
    try:
        plan = target.Plan(source, binaries(program, source, scratch), scratch, archive.cache() / "logs", asked.connection,
                           asked.keep)
        plan.logs.mkdir(parents=True, exist_ok=True)
        return run_all(chosen, plan, asked)
    finally:
        if asked.keep:
            print(f"kept in {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def arguments(words: list[str]) -> argparse.Namespace:
    """Returns what was typed."""
    parser = argparse.ArgumentParser(prog="tests/conformance/run", description="Runs Ansible's own integration targets.")
    parser.add_argument("--list", action="store_true", help="show the table and run nothing")
    parser.add_argument("--all", action="store_true", help="also run the targets that are marked fail")
    parser.add_argument("--only", nargs="+", metavar="AREA|NAME", help="run these targets, in the table or not")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, metavar="N", help="so many at once")
    parser.add_argument("--connection", choices=("local", "ssh"), default="local", help="how testhost is reached; by ssh the targets about modules are run")
    parser.add_argument("--keep", action="store_true", help="keep the copies that the targets ran in")
    parser.add_argument("--record", action="store_true", help="mark what passed in the table")
    parser.add_argument("--core", default=archive.VERSION, metavar="VERSION", help="the version of ansible-core")
    parser.add_argument("--xplay", type=pathlib.Path, metavar="PATH", help="the program to test")
    return parser.parse_args(words)


def choose(rows: list[table.Row], asked: argparse.Namespace, targets: pathlib.Path) -> list[table.Row]:
    """Returns the targets to run, the longest first, so that no long one is left alone at the end."""
    if asked.only:
        chosen = []
        for word in asked.only:
            found = [row for row in rows if word in (row.name, row.area)]
            if not found and not (targets / word.split(":")[0]).is_dir():
                print(f"conformance: there is no target or area {word!r}", file=sys.stderr)
                return []
            found = found or [table.unlisted(word, targets)]
            chosen += [row for row in found if row not in chosen]
    else:
        rows = [row for row in rows if asked.connection != "ssh" or row.area in OVER_SSH]
        chosen = [row for row in rows if asked.all or row.result == "pass"]
    return sorted(chosen, key=lambda row: -row.seconds)


def newest_program():
    """Returns the xplay of this repository that was built last."""
    built = [path for path in (REPOSITORY / "target" / kind / "xplay" for kind in ("debug", "release"))
             if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def binaries(program: pathlib.Path, source: pathlib.Path, scratch: pathlib.Path) -> pathlib.Path:
    """Makes the directory in which Ansible's programs are xplay. A copy, because a build may replace the original."""
    folder = scratch / "bin"
    folder.mkdir()
    shutil.copy(program, folder / "xplay-program")
    for name in target.PROGRAMS:
        (folder / name).symlink_to("xplay-program")
    (folder / "python").symlink_to(os.path.realpath(sys.executable))
    # Scripts of targets import what is Ansible's own; nothing of it runs playbooks.
    (folder / "python-path").mkdir()
    (folder / "python-path" / "ansible").symlink_to(source / "lib/ansible")
    (folder / "virtualenv.sh").symlink_to(source / "test/lib/ansible_test/_util/target/injector/virtualenv.sh")
    return folder


def run_all(chosen: list[table.Row], plan: target.Plan, asked: argparse.Namespace) -> int:
    """Runs all targets, says how each ended, and returns 1 when one that should pass does not."""
    counts = {"pass": 0, "fail": 0, "skip": 0}
    regressions = []
    passed = set()
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, asked.jobs)) as pool:
        started = {pool.submit(target.run, row, plan): row for row in chosen}
        for done in concurrent.futures.as_completed(started):
            row, ended = started[done], done.result()
            counts[ended.result] += 1
            say(row, ended)
            if ended.result == "pass":
                passed.add(row.name)
            if ended.result == "fail" and row.result == "pass":
                regressions.append(row.name)
    print(f"conformance: {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped; "
          f"logs in {plan.logs}")
    if asked.record:
        table.record(passed)
    if regressions:
        print(f"conformance: these passed before: {' '.join(sorted(regressions))}")
    return 1 if regressions else 0


def say(row: table.Row, ended: target.Ended) -> None:
    """Prints one line for a target, and the end of its log when it failed."""
    seconds = f"{ended.seconds:6.1f}s"
    if ended.result == "pass":
        note = "" if row.result == "pass" else "  (marked fail in the table)"
        print(f"pass {seconds} {row.name}{note}", flush=True)
        return
    if ended.result == "skip":
        print(f"skip {seconds} {row.name}: {ended.note}", flush=True)
        return
    lines = ended.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    print(f"FAIL {seconds} {row.name}: {ended.note}", *(f"    {line}" for line in lines), sep="\n", flush=True)
