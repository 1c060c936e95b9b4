"""The workloads of the table, with what is to be reached. Their playbooks are data files in `plays`."""

import dataclasses
import os
import shutil
import subprocess
import typing

from . import floor, inputs, places

PLAYS = places.BENCH / "plays"


def nothing(_bench):
    pass


@dataclasses.dataclass
class Target:
    """`what` is a peer that xplay must be `limit` times ahead of, `floor` of which it may take `limit` times the time,
    or a quantity (`wall`, `cpu`, `rss_mb`, `rss/PEER`) that may be `limit` at most. With `flat/WORKLOAD` a host costs at most
    `limit` times what it costs in that workload."""
    what: str
    limit: float
    phase: str = "run"


@dataclasses.dataclass
class Workload:
    name: str
    about: str
    command: typing.Callable
    targets: list
    hosts: int = 0
    prepare: typing.Callable = nothing
    reset: typing.Callable = nothing
    clean: typing.Callable = nothing
    phases: tuple = ("run",)
    floors: dict = dataclasses.field(default_factory=dict)
    ok: tuple = (0,)
    embedded: bool = False
    env: typing.Callable = lambda _bench: {}


def play(playbook, deploy=None, peers=("ansible", "mitogen"), more=()):
    """The command of a playbook, and of the same work as a deploy file of pyinfra."""
    def command(bench, tool, _phase):
        if tool == "pyinfra" and deploy:
            return bench.toolbox.pyinfra(inputs.pyinfra_inventory(bench), PLAYS / deploy)
        if tool == "xplay" or tool in peers:
            return bench.toolbox.playbook(tool, inputs.inventory(bench), inputs.playbook(bench, PLAYS / playbook), *more)
        return None
    return command


def empty_target(bench):
    shutil.rmtree(bench.target, ignore_errors=True)
    bench.target.mkdir()


def first_host(bench):
    return bench.cluster.ssh(bench.addresses[0])


def clush(bench, *command):
    options = " ".join(bench.cluster.options() + ["-p", str(bench.cluster.port)])
    return ["clush", "-f", "64", "-o", options, "-w", ",".join(bench.addresses), *command]


def fan_out(bench, tool, phase):
    if tool == "clush":
        return clush(bench, "/bin/true")
    return play("ten-commands.yml", "ten_commands.py")(bench, tool, phase)


def scp(bench):
    options = ["-P", str(bench.cluster.port), *bench.cluster.options()]
    return ["scp", "-q", *options, str(bench.folder / "big"), f"{bench.addresses[0]}:{bench.target}/big"]


def tar_stream(bench):
    ssh = " ".join(first_host(bench))
    return ["sh", "-c", f"tar cf - -C {bench.folder}/tree . | {ssh} 'tar xf - -C {bench.target}'"]


def commands(count):
    return lambda bench: floor.fed_shell(first_host(bench), [b"/bin/true"] * count)


def writes(bench):
    text = b"x" * 1024
    scripts = [b"cat > %s/f%d <<'E'\n%s\nE\nsha256sum %s/f%d" % (os.fsencode(bench.target), n, text,
               os.fsencode(bench.target), n) for n in range(100)]
    return floor.fed_shell(first_host(bench), scripts)


def one_check(bench):
    script = b"cd %s && stat -c %%a:%%u:%%g:%%n * && sha256sum *" % os.fsencode(bench.target)
    return floor.fed_shell(first_host(bench), [script])


def start(*words):
    def command(bench, tool, _phase):
        if tool == "xplay":
            return [str(bench.toolbox.binary), *words]
        return None
    return command


def syntax_check(bench, tool, _phase):
    playbook = inputs.playbook(bench, PLAYS / "roles.yml")
    return bench.toolbox.playbook("xplay", "localhost,", playbook, "--syntax-check") if tool == "xplay" else None


def plan(bench, tool, _phase):
    if tool != "xplay":
        return None
    inventory = inputs.embedded_folder(bench) / "inventory"
    more = ["-f", "100", "-o", str(bench.folder / "plan.xplan")]
    return [str(bench.toolbox.binary), "plan", str(bench.folder / "plan.yml"), "-i", str(inventory), *more]


def scale(bench, tool, _phase):
    """xplay and its hosts in one process."""
    if tool != "xplay":
        return None
    folder = inputs.embedded_folder(bench)
    return [str(bench.toolbox.embedded), "run", "-i", str(folder / "inventory"), str(PLAYS / "five-tasks.yml"), "--no-report"]


def listing(kind):
    def command(bench, tool, _phase):
        if tool not in ("xplay", "ansible"):
            return None
        source = bench.folder / f"hosts.{kind}"
        return bench.toolbox.playbook(tool, source, PLAYS / "all-hosts.yml", "--list-hosts")
    return command


WORKLOADS = [
    Workload("command-tasks", "one host, 100 command tasks", play("commands.yml", "commands.py"),
             [Target("floor", 2), Target("ansible", 50), Target("mitogen", 12), Target("pyinfra", 14)],
             hosts=1, floors={"run": commands(100)}),
    Workload("command-loop", "one host, one command task with 100 items", play("command-loop.yml"),
             [Target("floor", 2), Target("ansible", 50), Target("mitogen", 12)],
             hosts=1, floors={"run": commands(100)}),
    Workload("copy-files", "copy 100 files of 1 KiB", play("copy.yml", "copy.py"),
             [Target("ansible", 70, "first"), Target("mitogen", 8, "first"), Target("pyinfra", 40, "first"),
              Target("ansible", 250, "converged")],
             hosts=1, prepare=inputs.small_files, reset=empty_target, phases=("first", "converged"),
             floors={"first": writes, "converged": one_check}),
    Workload("template-files", "template 100 files", play("template.yml", "template.py"),
             [Target("ansible", 70, "first"), Target("mitogen", 8, "first"), Target("pyinfra", 40, "first"),
              Target("ansible", 250, "converged")],
             hosts=1, prepare=inputs.small_files, reset=empty_target, phases=("first", "converged"),
             floors={"first": writes, "converged": one_check}),
    Workload("big-file", "one file of 256 MiB", play("big.yml", "big.py"), [Target("floor", 1.2)],
             hosts=1, prepare=inputs.big_file, reset=empty_target, floors={"run": scp}),
    Workload("tree", "a tree of 1,000 files", play("tree.yml", peers=()),
             [Target("floor", 2, "first"), Target("wall", 0.25, "converged")],
             hosts=1, prepare=inputs.tree, reset=empty_target, phases=("first", "converged"),
             floors={"first": tar_stream}),
    Workload("fan-out-50", "50 hosts, 10 commands each (clush: one)", fan_out,
             [Target("ansible", 60), Target("mitogen", 25), Target("pyinfra", 2.5), Target("clush", 1)], hosts=50),
    Workload("fan-out-200", "200 hosts, 10 commands each (clush: one)", fan_out,
             [Target("ansible", 60), Target("mitogen", 25), Target("pyinfra", 2.5), Target("clush", 1)], hosts=200),
    Workload("facts", "all facts of 50 hosts (pyinfra: 11 facts)", play("facts.yml", "facts.py", ("ansible",)),
             [Target("ansible", 7), Target("pyinfra", 4)], hosts=50),
    Workload("set-fact-loop", "2,000 items of set_fact with a template", play("set-fact-loop.yml", peers=("ansible",)),
             [Target("ansible", 80)], prepare=inputs.here),
    Workload("debug-loop", "2,000 items of debug with a template", play("debug-loop.yml", peers=("ansible",)),
             [Target("ansible", 80)], prepare=inputs.here),
    Workload("includes", "100 included task files", play("includes.yml", peers=("ansible",)),
             [Target("ansible", 80)], prepare=inputs.included),
    Workload("roles", "roles that include roles, 5 deep, 40 times", play("roles.yml", peers=("ansible",)),
             [Target("ansible", 80)], prepare=inputs.here),
    Workload("inventory-ini", "10,000 hosts in 250 groups from ini, --list-hosts", listing("ini"),
             [Target("ansible", 20), Target("rss/ansible", 1 / 3)], prepare=inputs.many_hosts),
    Workload("inventory-yaml", "10,000 hosts in 250 groups from yaml, --list-hosts", listing("yml"),
             [Target("ansible", 20), Target("rss/ansible", 1 / 3)], prepare=inputs.many_hosts),
    Workload("set-fact-hosts", "one set_fact over 2,000 hosts", play("set-fact-hosts.yml", peers=("ansible",)),
             [Target("ansible", 100), Target("rss/ansible", 1 / 3)], prepare=inputs.local_hosts),
    Workload("version", "--version", start("--version"), [Target("cpu", 0.010)]),
    Workload("help", "run --help", start("run", "--help"), [Target("cpu", 0.010)]),
    Workload("syntax-check", "--syntax-check of the roles", syntax_check, [Target("cpu", 0.010)]),
    Workload("plan", "plan of 20 converged steps over 1,000 rehearsal hosts", plan,
             [Target("wall", 30), Target("rss_mb", 300)], prepare=inputs.planned_hosts, clean=inputs.stop_hosts,
             embedded=True),
    *[Workload(f"far-{ms}", f"{ms} ms of round trip: 20 converged tasks, then 20 changed ones", inputs.far_play,
               [Target("wall", inputs.far_limit(ms, 1), "converged"), Target("wall", inputs.far_limit(ms, 2), "first")],
               hosts=1, prepare=inputs.far(ms), reset=empty_target, clean=inputs.near, phases=("first", "converged"))
      for ms in (20, 50, 200)],
    *[Workload(f"scale-{n}", f"{n:,} embedded hosts in the same process, 5 tasks", scale,
               [Target("rss_mb", 1200), Target("wall", inputs.SCALE_SECS_PER_HOST * n)]
               + ([Target("flat/scale-100", 1.2)] if n > 100 else []),
               reset=inputs.unlink_hosts, clean=inputs.forget_five, embedded=True, env=inputs.scale_env(n))
      for n in (100, 1000, 10_000)],
]
