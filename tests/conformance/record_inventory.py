#!/usr/bin/env python3
"""Records what ansible-inventory says about the cases in inventory/.

Needs ansible-core (`pip install ansible-core`). Every case has a case.json with sources and patterns; expected.json
is written beside it. The tests compare with the records and need no Python.
"""

import json
import os
import subprocess
import sys

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
    # A member that came with 2.19 and says nothing.
    return done.stdout.rstrip("\n").replace(',\n        "profile": "inventory_legacy"', "")


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
        with open(os.path.join(directory, "expected.json"), "w") as handle:
            json.dump(record, handle, indent=1, sort_keys=True)
            handle.write("\n")


if __name__ == "__main__":
    main()
