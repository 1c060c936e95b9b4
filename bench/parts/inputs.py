"""What the workloads work on: inventories, files, generated playbooks."""

import os
import pathlib
import resource
import shutil
import string
import subprocess
import time

from . import servers

PLAYS = pathlib.Path(__file__).resolve().parent.parent / "plays"

# Round trips before the first task: TCP, the banners, key exchange, service, key login, channel, shell, functions,
# capabilities. A limit of wall time has room for them and for this machine's own work.
CONNECT_TRIPS = 13
OWN_SECS = 1.0
FAR_TASKS = 20


def write(path, text):
    path.write_text(text)
    return path


def inventory(bench):
    """Writes the inventory of the workload's hosts; nothing but this machine where it has none."""
    path = bench.folder / "inventory"
    if path.exists():
        return path
    cluster = bench.cluster
    lines = [f"n{n} ansible_host={address}" for n, address in enumerate(bench.addresses, 1)]
    port = getattr(bench, "proxy", cluster).port
    lines += [
        "[all:vars]",
        f"ansible_port={port}",
        f"ansible_user={cluster.user}",
        f"ansible_ssh_private_key_file={cluster.key}",
        f"ansible_ssh_common_args=-o UserKnownHostsFile={cluster.known_hosts}",
        f"target={bench.target}",
        f"source={bench.folder}",
    ]
    return write(path, "\n".join(lines) + "\n")


def pyinfra_inventory(bench):
    cluster = bench.cluster
    data = {
        "ssh_port": cluster.port,
        "ssh_user": cluster.user,
        "ssh_key": str(cluster.key),
        "ssh_known_hosts_file": str(cluster.known_hosts),
        "target": str(bench.target),
        "source": str(bench.folder),
    }
    return write(bench.folder / "hosts.py", f"hosts = {[(a, data) for a in bench.addresses]!r}\n")


def playbook(bench, path):
    """Puts a playbook into the workload's folder. A line `# repeat N` makes N copies of the task after it, `@N@` being
    the number."""
    head, mark, rest = path.read_text().partition("# repeat ")
    count, _, task = rest.partition("\n") if mark else ("0", "", "")
    tasks = "".join(task.replace("@N@", str(n)) for n in range(int(count)))
    return write(bench.folder / path.name, head + tasks)


def here(bench):
    """This machine alone, without a connection."""
    write(bench.folder / "inventory", "localhost ansible_connection=local\n")
    shutil.copytree(PLAYS / "roles", bench.folder / "roles")


def included(bench):
    here(bench)
    for n in range(100):
        write(bench.folder / f"part{n}.yml", f"- set_fact: {{part: 'part {n} of {{{{ inventory_hostname }}}}'}}\n")


def small_files(bench):
    (bench.folder / "files").mkdir()
    for n in range(100):
        line = f"file {n} " + string.ascii_lowercase
        write(bench.folder / "files" / f"f{n}", (line * 40)[:1023] + "\n")
    template = "# {{ target }} of {{ inventory_hostname }}\n" + "".join(
        f"{{% if item % {n + 2} == 0 %}}divides {n + 2}{{% else %}}not {n + 2}{{% endif %}}\n" for n in range(40))
    write(bench.folder / "t.j2", template + "number {{ item }}\n")
    jinja = template.replace("target", "host.data.target").replace("inventory_hostname", "host.name")
    write(bench.folder / "pyinfra.j2", jinja + "number {{ item }}\n")


def big_file(bench):
    with open(bench.folder / "big", "wb") as file:
        for _ in range(256):
            file.write(os.urandom(1 << 20))


def tree(bench):
    for n in range(1000):
        folder = bench.folder / "tree" / f"d{n % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"f{n}", f"file {n}\n" * 100)


def local_hosts(bench):
    lines = [f"n{n} number={n}" for n in range(2000)]
    write(bench.folder / "inventory", "\n".join(lines) + "\n[all:vars]\nansible_connection=local\n")


def many_hosts(bench):
    """10,000 hosts in 250 groups, each host with two variables and each group with one."""
    hosts = [f"node{n:05}" for n in range(10_000)]
    groups = {f"rack{g:03}": hosts[g::250] for g in range(250)}
    ini, yml = [], ["all:", "  children:"]
    for group, members in groups.items():
        ini.append(f"[{group}]")
        ini += [f"{host} ansible_host=10.0.{int(host[4:]) // 250}.{int(host[4:]) % 250} slot={host[4:]}x" for host in members]
        ini += [f"[{group}:vars]", f"rack={group}"]
        yml += [f"    {group}:", f"      vars: {{rack: {group}}}", "      hosts:"]
        for host in members:
            address = f"10.0.{int(host[4:]) // 250}.{int(host[4:]) % 250}"
            yml += [f"        {host}:", f"          ansible_host: {address}", f"          slot: {host[4:]}x"]
    write(bench.folder / "hosts.ini", "\n".join(ini) + "\n")
    write(bench.folder / "hosts.yml", "\n".join(yml) + "\n")


# The cost of a host at any number of hosts, with what a busy machine adds.
SCALE_SECS_PER_HOST = 0.06
# The file of `five-tasks.yml`, which all hosts share: it is there already.
FIVE = pathlib.Path("/tmp/xplay-bench-five")


def embedded_folder(bench):
    return bench.folder / "embedded"


def unlink_hosts(bench):
    embedded_folder(bench).unlink(missing_ok=True)
    write(FIVE, "of all hosts").chmod(0o644)


def forget_five(_bench):
    FIVE.unlink(missing_ok=True)


# Both ends of a connection and the host's side of its shell are in one process: so many files each, and so many that fit into
# the memory that is wanted.
FILES_PER_HOST = 2
OPEN_AT_MOST = 6500


def scale_env(count):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = OPEN_AT_MOST if limit == resource.RLIM_INFINITY else min(OPEN_AT_MOST, (limit - 1500) // FILES_PER_HOST)
    return lambda bench: {"XPLAY_BENCH_HOSTS": str(count), "XPLAY_BENCH_LINK": str(embedded_folder(bench)),
                          "XPLAY_OPEN_CONNECTIONS": str(max(most, 16))}


def planned_hosts(bench):
    """Starts 1,000 embedded hosts, and makes a playbook whose steps are done already."""
    bench.target.mkdir(exist_ok=True)
    text = (PLAYS / "far.yml").read_text().replace("{{ target }}", str(bench.target))
    write(bench.folder / "far.yml", text)
    os.replace(playbook(bench, bench.folder / "far.yml"), bench.folder / "plan.yml")
    for n in range(FAR_TASKS):
        file = write(bench.target / f"f{n}", f"text of {n}")
        file.chmod(0o644)
    env = {**os.environ, **scale_env(1000)(bench)}
    bench.hosts = subprocess.Popen([bench.toolbox.embedded], env=env, stdin=subprocess.PIPE)
    while not embedded_folder(bench).exists():
        if bench.hosts.poll() is not None:
            raise SystemExit("the embedded hosts did not start")
        time.sleep(0.05)


def stop_hosts(bench):
    bench.hosts.stdin.close()
    bench.hosts.wait()


def far(round_trip_ms):
    """Puts the delaying proxy before the first host."""
    def prepare(bench):
        bench.proxy = servers.Proxy(bench.addresses[0], bench.cluster.port, round_trip_ms)
        bench.cluster.know(bench.proxy.port)
        bench.addresses = ["127.0.0.1"]
    return prepare


def near(bench):
    bench.proxy.stop()


def far_limit(round_trip_ms, trips_per_task):
    return round_trip_ms / 1000 * (CONNECT_TRIPS + trips_per_task * FAR_TASKS) + OWN_SECS


def far_play(bench, tool, _phase):
    if tool != "xplay":
        return None
    return bench.toolbox.playbook("xplay", inventory(bench), playbook(bench, PLAYS / "far.yml"))
