"""Runs the tools of one workload in turn and takes wall time, CPU time and memory of each run."""

import dataclasses
import os
import resource
import subprocess
import threading
import time

from . import floor

TOOLS = ("xplay", "ansible", "mitogen", "pyinfra", "clush")


class Failed(Exception):
    """A tool did not do its work, so its time says nothing."""


def measure(command, env=None, cwd=None, log=None, ok=(0,), limit=None):
    """Runs a command to its end, or to the limit in seconds. Memory is the largest of its processes, CPU that of all that
    it waited for."""
    with open(log or os.devnull, "wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        watch = threading.Timer(limit, process.kill) if limit else None
        if watch:
            watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        if watch:
            watch.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if limit and wall >= limit:
        raise Failed(f"not done after {limit:.0f} s")
    if process.returncode not in ok:
        text = open(log, errors="replace").read()[-600:] if log else ""
        raise Failed(f"exit code {process.returncode}: {text}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss_mb": usage.ru_maxrss / 1024}


def allow_files():
    """Lets tools open as many files as the hosts need, where this user may."""
    wanted = 200_000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        pass


@dataclasses.dataclass
class Times:
    """How often tools run. Each runs once; again, up to `runs` times, while all its runs of a workload together take less
    than its share of seconds, and while the whole benchmark is younger than `until`."""
    runs: int
    own: float
    peers: float
    until: float
    limit: float

    def again(self, tool, count, spent):
        share = self.own if tool in ("floor", "xplay") else self.peers
        return count < self.runs and spent + spent / count <= share and time.monotonic() < self.until


class Bench:
    """One workload on this machine, now."""

    def __init__(self, workload, scratch, cluster, toolbox, times):
        self.workload, self.cluster, self.toolbox, self.times = workload, cluster, toolbox, times
        self.folder = scratch.fresh(workload.name)
        self.target = scratch.path / "target"
        self.addresses = cluster.hosts(workload.hosts) if workload.hosts else []

    def run(self):
        """Returns {phase: {tool: [sample, ...]}} and {tool: why it failed}."""
        workload = self.workload
        print(f"{workload.name}: {workload.about}", flush=True)
        workload.prepare(self)
        samples = {phase: {} for phase in workload.phases}
        failed, spent = {}, {}
        left = [tool for tool in ("floor", *TOOLS) if self.has(tool)]
        count = 0
        while left:
            count += 1
            # Interleaved, so that a busy moment of the machine hits all of them.
            for tool in list(left):
                started = time.monotonic()
                try:
                    self.cycle(tool, samples)
                except (Failed, OSError, SystemExit) as error:
                    failed[tool] = str(error)
                    print(f"  {tool} failed: {error}", flush=True)
                spent[tool] = spent.get(tool, 0) + time.monotonic() - started
                if tool in failed or not self.times.again(tool, count, spent[tool]):
                    left.remove(tool)
        workload.clean(self)
        for phase, tools in samples.items():
            line = ", ".join(f"{t} {sorted(s['wall'] for s in all_)[len(all_) // 2]:.3f}" for t, all_ in tools.items())
            print(f"  {phase}: {line}", flush=True)
        return samples, failed

    def has(self, tool):
        return tool in ("floor", "xplay") or tool in self.toolbox.peers

    def cycle(self, tool, samples):
        self.workload.reset(self)
        for phase in self.workload.phases:
            sample = self.sample(tool, phase)
            if sample:
                samples[phase].setdefault(tool, []).append(sample)

    def sample(self, tool, phase):
        if tool == "floor":
            make = self.workload.floors.get(phase)
            return floor.sample(make(self)) if make else None
        command = self.workload.command(self, tool, phase)
        if not command:
            return None
        env = {**self.toolbox.environment(self.folder, tool), **self.workload.env(self)}
        log = self.folder / f"{tool}-{phase}.log"
        return measure(command, env, self.folder, log, self.workload.ok, self.times.limit)
