"""Runs the tools of one workload in turn and takes wall time, CPU time and memory of each run."""

import os
import resource
import subprocess
import time

from . import floor

TOOLS = ("xplay", "ansible", "mitogen", "pyinfra", "clush")


class Failed(Exception):
    """A tool did not do its work, so its time says nothing."""


def measure(command, env=None, cwd=None, log=None, ok=(0,)):
    """Runs a command to its end. Memory is the largest of its processes, CPU that of all that it waited for."""
    with open(log or os.devnull, "wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ok:
        text = open(log, errors="replace").read()[-600:] if log else ""
        raise Failed(f"{command[0]} ended with {process.returncode}: {text}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss_mb": usage.ru_maxrss / 1024}


def allow_files():
    """Lets tools open as many files as the hosts need, where this user may."""
    wanted = 200_000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        pass


class Bench:
    """One workload on this machine, now."""

    def __init__(self, workload, scratch, cluster, toolbox, runs, slow):
        self.workload, self.cluster, self.toolbox, self.runs, self.slow = workload, cluster, toolbox, runs, slow
        self.folder = scratch.fresh(workload.name)
        self.target = scratch.path / "target"
        self.addresses = cluster.hosts(workload.hosts) if workload.hosts else []

    def run(self):
        """Returns {phase: {tool: [sample, ...]}}."""
        workload = self.workload
        print(f"{workload.name}: {workload.about}", flush=True)
        workload.prepare(self)
        samples = {phase: {} for phase in workload.phases}
        done = set()
        for _ in range(self.runs):
            # Interleaved, so that a busy moment of the machine hits all of them.
            for tool in ("floor", *TOOLS):
                if tool in done or not self.has(tool):
                    continue
                started = time.monotonic()
                try:
                    self.cycle(tool, samples)
                except Failed as e:
                    print(f"  {tool} failed: {e}", flush=True)
                    done.add(tool)
                if tool not in ("floor", "xplay") and time.monotonic() - started > self.slow:
                    done.add(tool)
        workload.clean(self)
        for phase, tools in samples.items():
            line = ", ".join(f"{t} {sorted(s['wall'] for s in all_)[len(all_) // 2]:.3f}" for t, all_ in tools.items())
            print(f"  {phase}: {line}", flush=True)
        return samples

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
        return measure(command, env, self.folder, log, self.workload.ok)
