#!/usr/bin/env python3
"""Records what ansible-inventory says about the cases in inventory/.

Needs ansible-core 2.19 and tomli-w (`pip install ansible-core tomli-w`). Every case has a case.json with sources and patterns; expected.json
is written beside it. The tests compare with the records and need no Python.
"""

import datetime
import json
import os
import subprocess
import sys
import tempfile

import yaml

ENV = {"PATH": os.path.dirname(sys.executable) + ":" + os.environ["PATH"], "HOME": "/nonexistent",
       "ANSIBLE_LOCALHOST_WARNING": "False", "ANSIBLE_DEPRECATION_WARNINGS": "False", "LANG": "C.UTF-8"}

PATTERNS = """
import json, sys
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
case = json.load(open("case.json"))
manager = InventoryManager(DataLoader(), sources=case["sources"])
names = lambda pattern, order=None: [h.name for h in manager.get_hosts(pattern, order=order)]
out = {"patterns": {}, "orders": {}}
for pattern in case["patterns"]:
    out["patterns"][pattern] = names(pattern)
for order in case["orders"]:
    out["orders"][order] = names("all", order)
out["groups"] = {h: sorted(g.name for g in manager.get_host(h).get_groups() if g.name != "all") for h in manager.hosts}
print(json.dumps(out))
"""


def run(directory, *command):
    done = subprocess.run(command, cwd=directory, env=ENV, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{directory}: {command}: {done.stderr}")
    return done.stdout.rstrip("\n")


def in_form(directory, *command):
    """Returns what goes to a file, to the last byte; nothing where the form cannot hold a value."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        done = subprocess.run([*command, "--list", "--output", out], cwd=directory, env=ENV, capture_output=True, text=True)
        return open(out).read() if done.returncode == 0 else None


class Whole(yaml.SafeDumper):
    """Writes a list that several hosts share each time."""

    def ignore_aliases(self, data):
        return True


# Dates of YAML are texts in xplay.
Whole.add_representer(datetime.date, lambda dumper, value: dumper.represent_str(value.isoformat()))


def without_aliases(text):
    return text and yaml.dump(yaml.safe_load(text), Dumper=Whole, default_flow_style=False, allow_unicode=True)


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inventory")
    for name in sorted(os.listdir(root)):
        directory = os.path.join(root, name)
        with open(os.path.join(directory, "case.json")) as handle:
            case = json.load(handle)
        sources = [part for source in case["sources"] for part in ("-i", source)]
        inventory = ("ansible-inventory", *sources)
        record = json.loads(run(directory, sys.executable, "-c", PATTERNS))
        record["list"] = run(directory, *inventory, "--list")
        record["export"] = run(directory, *inventory, "--list", "--export")
        record["graph"] = run(directory, *inventory, "--graph")
        record["graph_vars"] = run(directory, *inventory, "--graph", "--vars")
        for form in "yaml", "toml":
            record[form] = in_form(directory, *inventory, "--" + form)
            record[form + "_export"] = in_form(directory, *inventory, "--" + form, "--export")
        for key in "yaml", "yaml_export":
            record[key] = without_aliases(record[key])
        record["file"] = in_form(directory, *inventory)
        limit = next(pattern for pattern in case["patterns"] if record["patterns"][pattern])
        record["limit"] = {"pattern": limit}
        for form in "json", "yaml", "toml":
            flag = [] if form == "json" else ["--" + form]
            record["limit"][form] = in_form(directory, *inventory, *flag, "--limit", limit)
        record["limit"]["yaml"] = without_aliases(record["limit"]["yaml"])
        group = next(iter(sorted(name for names in record["groups"].values() for name in names)))
        record["graph_group"] = {"group": group, "text": run(directory, *inventory, "--graph", group)}
        with open(os.path.join(directory, "expected.json"), "w") as handle:
            json.dump(record, handle, indent=1, sort_keys=True)
            handle.write("\n")


if __name__ == "__main__":
    main()
