"""Runs the trials on both sides and prints a table."""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import machine, state
from .trials import TRIALS, is_there, play

REPOSITORY = Path(__file__).resolve().parents[3]
LIMIT_SECS = 1800


def main(words):
    """Returns the exit code: 0 when every trial that ran was equal and converged."""
    parser = argparse.ArgumentParser(prog="tests/roles/run", description="Public roles with xplay and ansible-core.")
    parser.add_argument("--roles", type=Path, help="directory of roles, and of ansible_collections")
    parser.add_argument("--root", type=Path, help="root tree of a Debian system")
    parser.add_argument("--only", nargs="+", choices=TRIALS, metavar="NAME")
    parser.add_argument("--xplay", type=Path, default=REPOSITORY / "target/debug/xplay")
    parser.add_argument("--ansible-playbook", default=shutil.which("ansible-playbook"), help="the other side")
    parser.add_argument("--output", type=Path, help="where to leave what both sides printed")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args(words)
    if args.list:
        for name, (role, _) in TRIALS.items():
            print(f"{name:14} {role:34} {play(name).relative_to(REPOSITORY)}")
        return 0
    if args.roles is None or args.root is None:
        parser.error("--roles and --root are needed; README.md says how to make them")
    if reason := machine.missing():
        print(f"skipped: roles: {reason}")
        return 0
    output = args.output or Path(tempfile.mkdtemp(prefix="xplay-roles-"))
    output.mkdir(parents=True, exist_ok=True)
    print(f"{'role':34} {'xplay 1st':>12} {'2nd':>12} {'ansible 1st':>12} {'2nd':>12}  equal", flush=True)
    bad = 0
    for name in args.only or TRIALS:
        bad += not trial(name, args, output)
    print(f"what was printed and what differs: {output}")
    return 1 if bad else 0


def trial(name, args, output):
    """Runs one trial, prints its line, and says whether it is as it should be."""
    role, questions = TRIALS[name]
    if not is_there(role, args.roles):
        print(f"{role:34} not in {args.roles}", flush=True)
        return False
    sides = {"xplay": [str(args.xplay.resolve()), "run"]}
    if args.ansible_playbook:
        sides["ansible"] = [args.ansible_playbook]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(side, name, kind, command, args, output) for kind, command in sides.items()]
        results = [each.result() for each in waiting]
    cells = [f"{cell:>12}" for runs, _ in results for cell in runs]
    good = all(cell.startswith("ok") for runs, _ in results[:1] for cell in runs) and results[0][0][1] == "ok 0"
    verdict = "-"
    if len(results) == 2:
        found = state.differences(results[0][1], results[1][1])
        (output / f"{name}.differences").write_text("".join(f"{line}\n" for line in found))
        verdict = f"no ({len(found)})" if found else "yes"
        good = good and not found
    print(f"{role:34} {' '.join(cells)}  {verdict}", flush=True)
    return good


def side(name, kind, command, args, output):
    """Runs a trial's play twice on a new machine. Returns what the runs came to, and the end state."""
    directory = Path(tempfile.mkdtemp(prefix=f"xplay-{name}-{kind}-"))
    packages = Path(tempfile.gettempdir()) / "xplay-roles-packages" / kind
    one = machine.Machine(args.root.resolve(), directory, packages)
    try:
        inventory = directory / "hosts"
        inventory.write_text(
            f"trial ansible_host=127.0.0.1 ansible_port={machine.PORT} ansible_user=root "
            f"ansible_ssh_private_key_file={directory}/user_key ansible_python_interpreter=/usr/bin/python3 "
            f'ansible_ssh_common_args="-o UserKnownHostsFile={directory}/known_hosts"\n'
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": str(args.roles.resolve()),
            "ANSIBLE_COLLECTIONS_PATH": str(args.roles.resolve()),
        }
        runs = []
        for number in (1, 2):
            words = [*command, "-i", str(inventory), str(play(name))]
            with open(output / f"{name}.{kind}.{number}", "w") as log:
                try:
                    ran = one.control(
                        words, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        timeout=LIMIT_SECS,
                    )
                    runs.append(outcome(ran.returncode, Path(log.name).read_text()))
                except subprocess.TimeoutExpired:
                    runs.append("time")
        return runs, state.read(one, TRIALS[name][1])
    except Exception as error:
        print(f"{name}: {kind}: {error}", file=sys.stderr)
        raise
    finally:
        one.stop()


def outcome(code, text):
    """Returns a run's end in a word or two: how many tasks changed something, or the exit code."""
    recap = re.search(r"^trial\s*: ok=\d+\s+changed=(\d+)", text, re.MULTILINE)
    if code or not recap:
        return f"rc {code}" + (f" {recap[1]}" if recap else "")
    return f"ok {recap[1]}"
