"""Keeps the samples of each workload, and writes RESULTS.md of all that were measured on this machine."""

import json
import os
import platform
import statistics
import time

from . import places, tools

RESULTS = places.CACHE / "results"
COLUMNS = ("xplay", "floor", "ansible", "mitogen", "pyinfra", "clush")


def store(workload, samples, failed, binary):
    """Keeps what was measured; the commit is the measured binary's, whatever the sources are by now."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    load = [round(load, 1) for load in os.getloadavg()]
    record = {"commit": tools.commit_of(binary) or "unknown", "sha256": tools.digest(binary), "load": load,
              "day": time.strftime("%Y-%m-%d"), "samples": samples, "failed": failed}
    (RESULTS / f"{workload.name}.json").write_text(json.dumps(record))


def is_measured(workload, binary):
    """Tells whether there are samples of this very binary."""
    path = RESULTS / f"{workload.name}.json"
    return path.exists() and json.loads(path.read_text()).get("sha256") == tools.digest(binary)


def write(workloads, binary):
    """Writes the table of the workloads that have samples."""
    known = {w.name: json.loads((RESULTS / f"{w.name}.json").read_text())
             for w in workloads if (RESULTS / f"{w.name}.json").exists()}
    shown = [w for w in workloads if w.name in known]
    out = ["# Results", "", "Written by `bench/run`. " + machine(), "", "Tools: " + tools.versions(binary) + ".", ""]
    out += ["Seconds of wall time, the median of up to five runs (all of them below and in raw.tsv; slow tools run less often); tools ran in turn, so a ratio compares runs of the same minutes.",
            "In brackets: user and system CPU seconds of the tool's own processes on this side.",
            "Ansible runs with pipelining, persistent connections and 50 forks, Mitogen by `mitogen_linear`.", ""]
    out += ["| workload | phase | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for w in shown:
        for phase, samples in known[w.name]["samples"].items():
            cells = [cell(samples.get(tool), known[w.name].get("failed", {}).get(tool)) for tool in COLUMNS]
            out.append(f"| {w.name} | {phase} | " + " | ".join(cells) + " |")
    out += ["", "## Targets", "", "| workload | phase | wanted | measured | |", "|---|---|---|---|---|"]
    for w in shown:
        out += [judged(w, t, known[w.name]["samples"].get(t.phase, {}), known) for t in w.targets]
    costs = places.BENCH / "costs.md"
    if costs.exists():
        out += ["", costs.read_text().rstrip()]
    out += ["", "## Raw numbers", "", "Wall seconds of each run, largest memory of one process of xplay in MiB, the commit of the",
            "measured binary, and the machine's load.", ""]
    for w in shown:
        record = known[w.name]
        load = f", load of the last 1, 5 and 15 minutes {record['load']}" if "load" in record else ""
        out += [f"### {w.name}", "", f"{w.about}; {record['day']}, binary of commit {record['commit']}{load}.", ""]
        for phase, samples in record["samples"].items():
            for tool, runs in samples.items():
                walls = " ".join(f"{s['wall']:.3f}" for s in runs)
                loops = " ".join(f"{s['loop']:.3f}" for s in runs if "loop" in s)
                memory = f", {max(s['rss_mb'] for s in runs):.0f} MiB" if tool in ("xplay", "ansible") else ""
                out.append(f"- {phase}, {tool}: {walls}{memory}" + (f" (without connecting: {loops})" if loops else ""))
        out += [f"- {tool} failed: {' '.join(why.split())[-300:]}" for tool, why in record.get("failed", {}).items()]
        out.append("")
    (places.BENCH / "RESULTS.md").write_text("\n".join(out).rstrip() + "\n")
    write_raw(shown, known)
    print(f"written: {places.BENCH / 'RESULTS.md'}")


def write_raw(shown, known):
    """Writes every run as a line of numbers."""
    lines = ["workload\tphase\ttool\trun\twall_s\tcpu_s\trss_mib\twithout_connecting_s\tday\tcommit"]
    for w in shown:
        record = known[w.name]
        for phase, samples in record["samples"].items():
            for tool, runs in samples.items():
                for number, run in enumerate(runs, 1):
                    loop = f"{run['loop']:.4f}" if "loop" in run else ""
                    lines.append(f"{w.name}\t{phase}\t{tool}\t{number}\t{run['wall']:.4f}\t{run['cpu']:.3f}\t{run['rss_mb']:.0f}\t"
                                 f"{loop}\t{record['day']}\t{record['commit']}")
    (places.BENCH / "raw.tsv").write_text("\n".join(lines) + "\n")


def median(runs, what="wall"):
    return statistics.median(run[what] for run in runs)


def cell(runs, failed=None):
    if not runs:
        # The last line says why; the log is long.
        lines = (failed or "").strip().splitlines()
        return f"failed: {' '.join(lines[-1].split())[-60:]}".replace("|", "/") if lines else ""
    wall, cpu = median(runs), median(runs, "cpu")
    often = {1: " once", 2: " twice"}.get(len(runs), "")
    return f"{wall:.3f} ({cpu:.2f}){often}"


def judged(workload, target, samples, known):
    """Returns the line of a target: what was wanted, what was measured, and whether it is reached."""
    mine = samples.get("xplay")
    head = f"| {workload.name} | {target.phase} | "
    if target.what in ("wall", "cpu", "rss_mb"):
        unit = "MiB" if target.what == "rss_mb" else "s"
        wanted = f"{target.what.split('_')[0]} at most {target.limit:.4g} {unit}"
        if not mine:
            return head + wanted + " | not measured | |"
        value = median(mine, target.what)
        return head + f"{wanted} | {value:.4g} {unit} | {'reached' if value <= target.limit else 'not reached'} |"
    what, _, peer = target.what.partition("/")
    if what == "flat":
        few = known.get(peer, {}).get("samples", {}).get(target.phase, {}).get("xplay")
        wanted = f"a host costs at most {target.limit:g}x what it costs in {peer}"
        if not mine or not few:
            return head + wanted + " | not measured | |"
        value = per_host(workload.name, mine) / per_host(peer, few)
        return head + f"{wanted} | {value:.3g}x | {'reached' if value <= target.limit else 'not reached'} |"
    theirs = samples.get(peer or what)
    if what == "rss":
        wanted = f"at most {target.limit:.2g} of {peer}'s memory"
        value = median(mine, "rss_mb") / median(theirs, "rss_mb") if mine and theirs else None
        reached = value is not None and value <= target.limit
    elif what == "floor":
        wanted = f"at most {target.limit:g}x the floor"
        value = median(mine) / median(theirs) if mine and theirs else None
        reached = value is not None and value <= target.limit
    else:
        wanted = f"{target.limit:g}x ahead of {what}"
        value = median(theirs) / median(mine) if mine and theirs else None
        reached = value is not None and value >= target.limit
    if value is None:
        return head + wanted + " | not measured | |"
    return head + f"{wanted} | {value:.3g}x | {'reached' if reached else 'not reached'} |"


def per_host(name, runs):
    """Returns the seconds for each host of a workload whose name ends in how many there are."""
    return median(runs) / int(name.rpartition("-")[2])


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    cpu = cpu or platform.machine()
    return (f"Machine: {os.cpu_count()} cores ({cpu}, {platform.machine()}), {memory} GiB, {platform.system()} "
            f"{platform.release().split('-')[0]}; servers and tools share it.")
