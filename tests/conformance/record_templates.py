#!/usr/bin/env python3
"""Records what ansible-core makes of the templates in template_cases.yml.

Run with a Python that has ansible-core 2.19:  record_templates.py > templates.json
Each case gives either `repr`, Python's repr of the value, or `error`: `undefined`, `syntax` or `failed`, with the
message for people.
"""

import json
import os
import sys
import warnings

import yaml

warnings.simplefilter("ignore")
os.environ["ANSIBLE_DEPRECATION_WARNINGS"] = "0"
os.environ["TZ"] = "UTC"

from ansible.errors import AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

HERE = os.path.dirname(os.path.abspath(__file__))


def trust(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {k: trust(v) for k, v in value.items()}
    if isinstance(value, list):
        return [trust(v) for v in value]
    return value


def plain(value):
    """Sheds Ansible's tagged types."""
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return str(value)


def record(template, variables):
    templar = Templar(loader=DataLoader(), variables=trust(variables))
    try:
        value = templar.template(trust_as_template(template))
        return {"repr": repr(plain(value))}
    except AnsibleUndefinedVariable as problem:
        return {"error": "undefined", "message": str(problem).split("\n")[0]}
    except Exception as problem:
        kind = "syntax" if "Syntax" in type(problem).__name__ else "failed"
        return {"error": kind, "message": str(problem).split("\n")[0][:200]}


def main():
    with open(os.path.join(HERE, "template_cases.yml"), encoding="utf-8") as source:
        groups = yaml.safe_load(source)
    out = []
    for group in groups:
        variables = group.get("vars", {})
        for template in group["cases"]:
            out.append({"group": group["group"], "template": template, **record(template, variables)})
    json.dump(out, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
