"""One run of one target, with the surroundings that Ansible's own test program would give it."""

import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

from . import sandbox
from .table import Row

PROGRAMS = ("ansible", "ansible-config", "ansible-console", "ansible-doc", "ansible-galaxy", "ansible-inventory",
            "ansible-playbook", "ansible-pull", "ansible-vault", "xplay")
# The working directories of the reference have such a name too: paths that are not ASCII must work.
SUFFIX = "-\u00c5\u00d1\u015a\u00cc\u03b2\u0141\u00c8"

# Starts sshd for the time that the target runs.
WITH_SSHD = """
port=$1 keys=$2 home=$3; shift 3
if [ -n "$home" ]; then
    mkdir -p "$home/.ssh" && chmod 0700 "$home/.ssh" && cp "$keys/key" "$home/.ssh/id_ed25519"
fi
"$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f "$keys/sshd_config" -p "$port" 2>"$keys/sshd.log" &
server=$!
tries=0
until ssh-keyscan -p "$port" 127.0.0.1 2>/dev/null | grep -q . || [ $tries -gt 50 ]; do
    tries=$((tries + 1)); sleep 0.1
done
# As without sshd, the first process of a namespace is the program: facts tell by its name what manages services.
[ $$ != 1 ] || exec "$@"
"$@"
code=$?
kill $server
exit $code
"""


@dataclasses.dataclass
class Plan:
    """What is the same for all targets of a run."""

    source: pathlib.Path
    binaries: pathlib.Path
    scratch: pathlib.Path
    logs: pathlib.Path
    connection: str
    keep: bool


@dataclasses.dataclass
class Ended:
    """How a target ended: `pass`, `fail` or `skip`."""

    result: str
    seconds: float
    log: pathlib.Path
    note: str = ""


def run(row: Row, plan: Plan) -> Ended:
    """Runs a target in a throwaway copy; its output is in the log afterwards."""
    log = plan.logs / f"{row.name.replace(':', '.')}.log"
    aliases = aliases_of(plan.source / "test/integration/targets" / row.folder)
    if not sandbox.prefix(row.network) and not aliases.isdisjoint({"destructive", "needs/root"}):
        return Ended("skip", 0, log, "changes the machine, and no namespaces can be made here")
    work = plan.scratch / f"{row.name.replace(':', '.')}{'' if 'no/temp_unicode' in aliases else SUFFIX}"
    work.mkdir()
    begin = time.monotonic()
    try:
        return attempt(row, plan, aliases, work, log, begin)
    finally:
        if not plan.keep:
            shutil.rmtree(work, ignore_errors=True)


def attempt(row: Row, plan: Plan, aliases: set[str], work: pathlib.Path, log: pathlib.Path, begin: float) -> Ended:
    """Copies, starts and waits."""
    integration = work / "test" / "integration"
    targets = integration / "targets"
    original = plan.source / "test/integration/targets"
    copied = plan.keep or not sandbox.prefix(row.network)
    if copied:
        shutil.copytree(original, targets, symlinks=True)
    else:
        targets.mkdir(parents=True)
    # What targets of Python packages read besides (`needs/file` in their aliases).
    lists = pathlib.Path("test/lib/ansible_test/_data/requirements")
    shutil.copytree(plan.source / lists, work / lists)
    output = work / "output_dir"
    output.mkdir()
    ssh = plan.connection == "ssh" or "needs/ssh" in aliases
    port = 22 if sandbox.prefix(row.network) and not row.network else free_port()
    keys = ssh_keys(work, port, sandbox.prefix(row.network) and not row.network) if ssh else None
    inventory = integration / "inventory"
    inventory.write_text(inventory_text(keys, port))
    (integration / "integration.cfg").write_text("[defaults]\n")
    env = environment(plan, work, integration, inventory, output)
    if row.start == "script":
        directory = targets / row.folder
        command = ["./runme.sh"]
    else:
        directory = integration
        env["ANSIBLE_ROLES_PATH"] = str(targets)
        command = ["ansible-playbook", role_playbook(row, aliases, integration, output), "-i", "inventory"]
    env["ANSIBLE_PLAYBOOK_DIR"] = str(directory)
    if keys:
        # Only where the home is a copy: nobody's own keys are touched.
        home = os.environ.get("HOME", "") if sandbox.prefix(row.network) and "needs/ssh" in aliases else ""
        command = ["sh", "-c", WITH_SSHD, "sshd", str(port), str(keys), home, *command]
    visible = [plan.binaries, plan.source]
    view = ("", "") if copied else (str(original), str(targets))
    command = sandbox.command(work, directory, row.network, visible, view, command)
    limit = max(90.0, 2.5 * row.seconds)
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=directory if copied else work, env=env, stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            stop(process)
            file.write(f"\nstopped after {limit:.0f} seconds\n".encode())
            code = None
    seconds = time.monotonic() - begin
    return Ended("pass" if code == 0 else "fail", seconds, log, "too slow" if code is None else f"exit code {code}")


def stop(process: subprocess.Popen) -> None:
    """Ends what a target started; with namespaces the kernel ends everything in them."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def aliases_of(target: pathlib.Path) -> set[str]:
    """Returns the properties that a target declares."""
    try:
        lines = (target / "aliases").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    return {line.split("#")[0].strip() for line in lines}


def role_playbook(row: Row, aliases: set[str], integration: pathlib.Path, output: pathlib.Path) -> str:
    """Writes the playbook around a role target and returns its name."""
    play = {"hosts": "testhost", "gather_facts": "gather_facts/no" not in aliases, "vars_files": [],
            "vars": {"output_dir": str(output)}, "roles": [row.folder]}
    name = f"{row.folder}-playbook.yml"
    (integration / name).write_text(json.dumps([play], indent=4, sort_keys=True))
    return name


def inventory_text(keys, port: int) -> str:
    """Returns an inventory with the group and the host that all targets know."""
    if keys is None:
        variables = "ansible_connection=local"
    else:
        variables = (f"ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={port} ansible_user={user()} "
                     f"ansible_ssh_private_key_file={shlex.quote(str(keys / 'key'))}")
    return (f"[testgroup]\ntesthost {variables} ansible_pipelining=yes "
            f"ansible_python_interpreter={sys.executable}\n")


def environment(plan: Plan, work: pathlib.Path, integration: pathlib.Path, inventory: pathlib.Path,
                output: pathlib.Path) -> dict[str, str]:
    """Returns the environment of a target, which holds nothing of the caller's but the path and the home."""
    env = {name: os.environ[name] for name in ("HOME", "LD_LIBRARY_PATH", "PIP_CERT", "SSL_CERT_FILE", "PIP_INDEX_URL",
                                               "PIP_FIND_LINKS", "http_proxy", "https_proxy", "no_proxy")
           if name in os.environ}
    support = plan.source / "test/support/integration/plugins/modules"
    env.update(
        LC_ALL="C.UTF-8",
        PATH=f"{plan.binaries}:{os.environ.get('PATH', os.defpath)}",
        PAGER="/bin/cat",
        PYTHONPATH=str(plan.binaries / "python-path"),
        PYTHONDONTWRITEBYTECODE="1",
        OUTPUT_DIR=str(output),
        INVENTORY_PATH=str(inventory),
        JUNIT_OUTPUT_DIR=str(work / "junit"),
        ANSIBLE_CALLBACKS_ENABLED="junit",
        ANSIBLE_COLLECTIONS_PATH=str(work / "collections"),
        ANSIBLE_CONFIG=str(integration / "integration.cfg"),
        ANSIBLE_DEPRECATION_WARNINGS="false",
        ANSIBLE_DEVEL_WARNING="false",
        ANSIBLE_FORCE_COLOR="false",
        ANSIBLE_FORCE_HANDLERS="true",
        ANSIBLE_HOST_KEY_CHECKING="false",
        ANSIBLE_HOST_PATTERN_MISMATCH="error",
        ANSIBLE_INVENTORY="/dev/null",
        ANSIBLE_LIBRARY=str(support) if support.is_dir() else "/dev/null",
        ANSIBLE_PYTHON_INTERPRETER="/set/ansible_python_interpreter/in/inventory",
        ANSIBLE_RETRY_FILES_ENABLED="false",
        ANSIBLE_TEST_PYTHON_INTERPRETER=sys.executable,
        ANSIBLE_TEST_PYTHON_VERSION=f"{sys.version_info[0]}.{sys.version_info[1]}",
    )
    return env


def ssh_keys(work: pathlib.Path, port: int, isolated: bool) -> pathlib.Path:
    """Makes the keys and the settings of a throwaway sshd; where the network is isolated it has all its addresses."""
    address = "0.0.0.0" if isolated else "127.0.0.1"
    keys = work / "ssh"
    # The server reads the list of keys as whoever logs in.
    keys.mkdir(mode=0o755)
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    shutil.copy(keys / "key.pub", keys / "authorized")
    sftp = next((path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
                                   "/usr/lib/ssh/sftp-server") if os.path.exists(path)), "internal-sftp")
    (keys / "sshd_config").write_text(
        f"ListenAddress {address}:{port}\nHostKey {keys / 'host'}\nAuthorizedKeysFile {keys / 'authorized'}\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 200\nMaxSessions 100\n"
        f"Subsystem sftp {sftp}\n")
    return keys


def free_port() -> int:
    """Returns a port of the loopback that nobody listens on now."""
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def user() -> str:
    """Returns the name of the user who runs the targets."""
    import pwd
    return pwd.getpwuid(os.getuid()).pw_name
