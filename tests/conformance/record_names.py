#!/usr/bin/env python3
"""Records the names that ansible-core gives its modules, plugins, keywords and settings, and Jinja2 its filters and tests.

Usage: record_names.py > names.tsv      with ansible-core installed, as by: pip install ansible-core==2.18.1

One line for each name: kind, name. Names only; what they do is not part of it.
"""
import pathlib

import ansible
import jinja2.filters
import jinja2.tests
import yaml
from ansible.plugins.loader import filter_loader, init_plugin_loader, test_loader
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.loop_control import LoopControl
from ansible.playbook.play import Play
from ansible.playbook.playbook_include import PlaybookInclude
from ansible.playbook.role.definition import RoleDefinition
from ansible.playbook.task import Task

HOME = pathlib.Path(ansible.__file__).parent


def files(folder):
    """The plugins of a folder: one file each; names with an underscore are old."""
    names = {path.stem for path in (HOME / folder).glob("*.py")}
    return {name.lstrip("_") for name in names if name not in ("__init__", "base")}


def keywords():
    """What may stand in plays, roles, blocks, tasks, handlers, imports and under loop_control."""
    found = set()
    for kind in (Play, RoleDefinition, Block, Task, Handler, PlaybookInclude, LoopControl):
        found |= {name for name, about in kind.fattributes.items() if not about.private}
    # How loops and two statements are written differs from the attribute's name.
    found -= {"loop_with", "vars_val", "async_val", "implicit", "resolved_action"}
    return found | {"async", "loop", "local_action", "import_playbook"}


def settings():
    return set(yaml.safe_load((HOME / "config" / "base.yml").read_text()))


init_plugin_loader()
short = lambda name: name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
jinja_filters = set(jinja2.filters.FILTERS)
jinja_tests = {name for name in jinja2.tests.TESTS if name.isalpha()}
KINDS = {
    "module": files("modules"),
    "filter": {short(plugin.ansible_name) for plugin in filter_loader.all()} | jinja_filters,
    "test": {short(plugin.ansible_name) for plugin in test_loader.all()} | jinja_tests,
    "lookup": files("plugins/lookup"),
    "callback": files("plugins/callback"),
    "strategy": files("plugins/strategy"),
    "connection": files("plugins/connection"),
    "become": files("plugins/become"),
    "inventory": files("plugins/inventory"),
    "cache": files("plugins/cache"),
    "vars": files("plugins/vars"),
    "shell": files("plugins/shell"),
    "keyword": keywords(),
    "setting": settings(),
}
print("# Names of ansible-core 2.18.1 and Jinja2, written by record_names.py: kind, name.")
for kind, names in KINDS.items():
    for name in sorted(names):
        print(kind, name, sep="\t")
