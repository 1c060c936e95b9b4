"""xplay and its peers: how they are installed, and the command line that each runs a workload with."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing

from . import places

PEERS = ("ansible", "mitogen", "pyinfra", "clush")
VENV = places.CACHE / "venv"


def build():
    """Builds the release binary and returns its path."""
    commit = head()
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=places.REPOSITORY, check=True)
    binary = built()
    # Sources that changed while it was built belong to no commit.
    stamp = {"commit": commit if commit == head() else f"{commit}-dirty", "sha256": digest(binary)}
    stamp_of(binary).write_text(json.dumps(stamp))
    return binary


def built():
    """Returns where the release binary is, or would be."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or places.REPOSITORY / "target")
    return target / "release" / "xplay"


def head():
    """Returns the commit of the sources here; it ends in `-dirty` when they are not as committed."""
    out = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=places.REPOSITORY, capture_output=True, text=True,
                         check=False)
    return out.stdout.strip()


def stamp_of(binary):
    return pathlib.Path(f"{binary}.built-of.json")


def digest(binary):
    return hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()


def commit_of(binary):
    """Returns the commit that a binary was built of by `build`; None for any other binary."""
    try:
        stamp = json.loads(stamp_of(binary).read_text())
    except (OSError, ValueError):
        return None
    return stamp["commit"] if stamp["sha256"] == digest(binary) else None


def is_stale(binary):
    """Tells whether the sources are others than those that the binary was built of, or nobody knows of which."""
    commit = commit_of(binary)
    if not commit or commit.endswith("-dirty"):
        return True
    same = subprocess.run(["git", "diff", "--quiet", commit, "--", "src", "Cargo.toml", "Cargo.lock"],
                          cwd=places.REPOSITORY, check=False, stderr=subprocess.DEVNULL)
    return same.returncode != 0


def build_embedded():
    """Builds the program that holds embedded hosts and returns its path."""
    command = ["cargo", "bench", "--locked", "--no-run", "--bench", "embedded_hosts", "--message-format=json"]
    out = subprocess.run(command, cwd=places.REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    built = [message["executable"] for message in map(json.loads, out.splitlines())
             if message.get("target", {}).get("name") == "embedded_hosts" and message.get("executable")]
    return pathlib.Path(built[-1])


def install(wanted):
    """Installs the peers that are wanted and missing; returns those that are there."""
    names = {"all": PEERS, "none": ()}.get(wanted) or (() if wanted == "none" else tuple(wanted.split(",")))
    python = {"ansible", "mitogen", "pyinfra"} & set(names)
    if python and not (VENV / "bin" / "pyinfra").exists():
        places.CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [VENV / "bin" / "pip", "install", "--quiet", "ansible-core", "mitogen", "pyinfra"]
        subprocess.run(pip, check=True)
    if "clush" in names and not shutil.which("clush") and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "clustershell"],
                       stdout=subprocess.DEVNULL, check=False)
    there = set(python)
    if "clush" in names and shutil.which("clush"):
        there.add("clush")
    for name in sorted(set(names) - there):
        print(f"{name} is missing; its column stays empty")
    return there


def versions(binary):
    """Returns one line with the versions of all tools."""
    def first_line(*command):
        try:
            out = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return None
        lines = (out.stdout + out.stderr).strip().splitlines()
        return lines[0].strip() if lines else None
    found = [first_line(binary, "--version"), first_line("ssh", "-V"), first_line("clush", "--version")]
    if (VENV / "bin" / "pip").exists():
        listed = subprocess.run([VENV / "bin" / "pip", "list", "--format=freeze"], capture_output=True, text=True,
                                check=False).stdout.splitlines()
        found += [line.replace("==", " ") for line in listed
                  if line.split("==")[0] in ("ansible-core", "mitogen", "pyinfra")]
    return ", ".join(text for text in found if text)


ANSIBLE_CFG = """\
[defaults]
forks = 50
gathering = explicit
interpreter_python = /usr/bin/python3
{strategy}
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -F /dev/null
"""


@dataclasses.dataclass
class Toolbox:
    binary: pathlib.Path
    peers: set
    embedded: typing.Optional[pathlib.Path] = None

    def environment(self, folder, name):
        """Returns the environment of one tool in one workload: a home of its own, nothing of the user's settings."""
        home = folder / f"home-{name}"
        home.mkdir(exist_ok=True)
        keep = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR", "RUSTUP_HOME")}
        env = {**keep, "HOME": str(home), "LC_ALL": "C.UTF-8"}
        if name in ("ansible", "mitogen"):
            strategy = ""
            if name == "mitogen":
                plugins = next(VENV.glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
                strategy = f"strategy_plugins = {plugins}\nstrategy = mitogen_linear\n"
            config = folder / f"{name}.cfg"
            config.write_text(ANSIBLE_CFG.format(strategy=strategy))
            env["ANSIBLE_CONFIG"] = str(config)
            env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
        return env

    def playbook(self, name, inventory, playbook, *more):
        """Returns the command that runs a playbook."""
        if name == "xplay":
            return [str(self.binary), "run", "-i", str(inventory), str(playbook), *more]
        return [str(VENV / "bin" / "ansible-playbook"), "-i", str(inventory), str(playbook), *more]

    def pyinfra(self, inventory, deploy):
        return [str(VENV / "bin" / "pyinfra"), "-y", str(inventory), str(deploy)]
