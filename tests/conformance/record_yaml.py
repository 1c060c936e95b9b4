#!/usr/bin/env python3
"""Records what PyYAML (with libyaml, as Ansible uses it) reads and writes.

Usage: record_yaml.py            writes yaml/scalars.json, yaml/documents.json and yaml/dumps.json beside this file
       record_yaml.py fuzz N     prints N random dump cases as JSON, for a longer comparison
"""
import json
import math
import os
import random
import sys

import yaml

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "yaml")


class Loader(yaml.CSafeLoader):
    """Timestamps stay strings; `=` has no constructor in PyYAML."""


for name in ("timestamp", "value"):
    Loader.add_constructor(f"tag:yaml.org,2002:{name}", Loader.construct_yaml_str)


def typed(value):
    """A value as JSON that keeps the types apart."""
    if value is None:
        return {"t": "null"}
    if isinstance(value, bool):
        return {"t": "bool", "v": value}
    if isinstance(value, int):
        return {"t": "int", "v": str(value)}
    if isinstance(value, float):
        return {"t": "float", "v": "nan" if math.isnan(value) else repr(value)}
    if isinstance(value, str):
        return {"t": "str", "v": value}
    if isinstance(value, (list, tuple)):
        return {"t": "list", "v": [typed(v) for v in value]}
    return {"t": "map", "v": [[typed(k), typed(v)] for k, v in value.items()]}


def load(text):
    try:
        return {"text": text, "value": typed(yaml.load(text, Loader=Loader))}
    except (yaml.YAMLError, ValueError, KeyError) as error:
        return {"text": text, "error": type(error).__name__}


WORDS = """yes Yes YES yEs no No NO nO y Y n N true True TRUE tRue false False FALSE on On ON oN off Off OFF null Null NULL nULL ~ ~~
none None 0 00 0_ 07 08 09 0644 0o644 -0644 +0644 0b0 0b101 0b_1 0b2 -0b11 0x 0x1F 0xfg 0X1F -0x_ff 0xdead_beef 1 -1 +1 1_000 1__0 _1 1_ -_1
1,000 12345678901234567890 170141183460469231731687303715884105727 12:30 12:30:45 1:60 1:59 190:20:30 -190:20:30 01:20 1:2:3:4 1:2.5 190:20:30.15
1:60.5 0:0.0 1. 1.0 .5 -.5 +.5 1.5e3 1.5e+3 1.5E-3 1e3 1e+3 1.e+3 .e+3 . .. 1_0.5_0 1.5. 1.2.3 .inf .Inf .INF .iNF -.inf +.Inf inf .nan .NaN
.NAN .Nan -.nan nan 2001-01-01 2001-1-1 2001-12-14t21:59:43.10-05:00 2001-12-14_1 = << - -- --a -1- +-1 1a a1 685.230_15e+03 685_230.15 _ 0.0 -0.0
0.1 1e400 1.0e+400 1.7976931348623157e+308 5.0e-324 123456789.123456789 0:1 0x0 -0 +0 0b -0b 1:0 1:00 1:000 60:0 :1 1: a:b 08.5 00.5 0_7 0_8
0.5e+ 1.0e+3_0 1.0_e+3 ._5 .5_ .5_5e+1""".split()

DOCUMENTS = [
    "", "# c\n", "a", "a: 1\n", "- 1\n- a\n", "a: {b: [1, 2, {c: d}]}\n",
    "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", "a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y], z: 0}\n",
    "a: &x {k: 1}\nb: &y {k: 2}\nc:\n  <<: *x\n  <<: *y\n", "a: &x {k: 1}\nb: &y {<<: *x, l: 2}\nc: {l: 3, <<: *y}\n", "<<: {a: 1}\nb: 2\na: 3\n",
    "'<<': 1\n", "a: <<\n", "<<: [a]\n", "<<: a\n", "a: 1\na: 2\nb: 3\n", "1: a\ntrue: b\n", "1: a\n1.0: b\n", "~: a\n", "? a\n: b\n", "? [a]\n: b\n",
    "? {a: b}\n: c\n", "a: {{ x }}\n", "a: '{{ x }}'\n", "a: \"it''s \\\"q\\\"\\n\\t\\u00e4\\x41\"\n", "a: 'it''s'\n", "a: |\n  x\n   y\n\n  z\n",
    "a: |-\n  x\n", "a: |+\n  x\n\n\nb: 1\n", "a: >\n  x\n  y\n\n  z\n   more\n  end\n", "a: >-\n  x\n  y", "a: >\n  x\n  y", "a: |\n  x", "a: |\n\n  x\n",
    "a: |2\n    x\n   y\n", "a: x\n  y\n\n  z\n", "a: \"x\n  y\n\n  z \\\n  w\"\n", "a: 'x\n  y'\n", "\ufeffa: b\n", "a: b\r\nc: |\r\n  d\r\n  e\r\n", "a:\tb\n",
    "a:\n\t- b\n", "a:\n- b\n- c\nd:\n  - e\n", "- - a\n  - b\n-\n  - c\n", "- a: 1\n  b: 2\n- c: 3\n", "--- a\n", "---\na: b\n...\n", "--- a\n--- b\n",
    "%YAML 1.1\n---\na: b\n", "a: !!str 5\nb: !!int '7'\nc: !!float 5\nd: !!bool 'yes'\ne: !!null x\nf: !!str\n", "a: !!int x\n", "a: !!bool 5\n", "a: ! \"5\"\n",
    "a: !foo b\n", "a: !!omap [x: 1, y: 2]\n", "a: !!pairs [x: 1, x: 2]\n", "a: !<tag:yaml.org,2002:str> 5\n", "a: *x\n", "a: &x [1]\nb: *x\nc: *x\n",
    "a: &x 1\nb: &x 2\nc: *x\n", "a: 1 # c\nb: x#y\nc: '#'\n", "a: b: c\n", "a:b\n", "a:b\nc: d\n", "a: @b\n", "a: `b`\n", "a: %b\n", "a: b %c\n", "a: -b\n",
    "a: - b\n", "a: ?b\n", "a: :b\n", "a: [a, b, ]\n", "a: [a\n  b, c]\n", "a: {b, c: , d: e}\n", "a: {b: c\n  , d: e}\n", "a: [b: c, d]\n", "a: [\nb,\nc\n]\n",
    "a: {\n  b: c\n}\n", "a: \"b\nc\"\n", "a: 'b\n\nc'\n", "a: \"\\x1b[0m\"\n", "a: \x1b\n", "a: 1\n b: 2\n", "- a\n b\n", "a:\n  - b\n c: d\n", "a: 'b\n", "a: [b\n",
    "a: b]\n", "a: ]\n", "key with spaces: v\n", "a: b\n\n\n\nc: d\n", "a:\n  b:\n    c:\n", "a: ''\nb: \"\"\n", "a: ~\nb:\nc: null\n", "\"a\": 1\n'b': 2\n",
    "a: 0644\nb: '0644'\nc: 10:20\nd: yes\n", "a: x: y\n", "a: http://x:80/y\n", "a: C:\\x\n", "a: \"C:\\x\"\n", "- name: x\n  when: \"a\" in b\n", "a: ⚙ ü\n",
    "a: b\n--- \nc: d\n", "{a: b}\n", "[a, b]\n", "a: {'b': c, \"d\":e}\n", "a: !!seq [x]\n", "a: | # c\n  x\n", "a: >+\n\n  x\n\n",
    "a: &anchor\n  b: c\nd:\n  <<: *anchor\n  e: f\n", "? |\n  a\n: b\n", "a: \"\\U0001F600\"\n",
]

STRINGS = [
    "", "a", "a b", " a", "a ", "a\n", "\na", "a\nb", "a\n\nb", "a\n b", "a \nb", "\n", "\n\n", " ", "a\tb", "\t", "'", '"', "it's", 'say "x"', "it's \"x\"",
    "a: b", "a:", ":a", ":", "a:b", "a #b", "a#b", "#a", "- a", "-a", "-", "--", "---", "--- a", "...", "....", "? a", "?a", "?", "a?", "!a", "&a", "*a", "|", ">", "%a", "@a", "`a",
    "[a]", "a[b]", "{a}", "a,b", ",", "a{b", "{{ x }}", "x {{ y }}", "a\\b", "\\", "\x00", "\x07\x1b", "\x7f", "\x85", "a\x85b", "\xa0", "é", "日本語", "\u2028", "a\u2029b",
    "\ufeff", "\ufffd", "😀", "a\rb", "a\r\nb", "word " * 30, "word  " * 30, "w" * 200, "w" * 90 + " x y", ("é" * 10 + " ") * 12, "'" + "word " * 30 + "'", "a\n" + "word " * 30,
    "\t" + "word " * 30, "\t" + "word  " * 30, "w" * 128, "w" * 129, "é" * 64, "é" * 65, "a\n\n\nb\n", "line one\nline two\n", "trailing space \nx", "a: " * 40, "x\n  y", "key\nwith break",
    "\u0085x", "0", "=", "<<", "null", "123abc", "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
] + WORDS

VALUES = [
    None, True, False, 0, 1, -1, 0o644, 10**30, 0.0, -0.0, 1.0, 1.5, 1e20, 1e16, 1e-7, 1.5e300, float("inf"), -float("inf"), float("nan"), [], {}, [[]], [{}], {"a": []}, {"a": {}},
    [1, 2], [[1, 2], [3]], {"a": 1}, {"a": {"b": {"c": [1, {"d": 2}]}}}, [{"a": 1, "b": [1]}, {"c": 2}], {"b": 1, "a": 2, "C": 3}, {2: "x", 1: "y", 1.5: "z"},
    {"a": 1, 2: "b"}, {None: 1}, {None: 1, "a": 2}, {True: 1, False: 0}, {"yes": "no", "1": "2"}, list(range(60)), {"k%02d" % i: "value %d" % i for i in range(20)},
    {"k": ["item number %d" % i for i in range(12)]}, [["a", ["b", ["c", ["d"]]]]], {"x": [["a"], {"b": ["c"]}]}, {"a": None, "b": ""}, [None, ""],
    {"w" * 129: {"a": 1}}, {"w" * 129: [1]}, {"a\nb": [1, {"c": 2}]}, [{"w" * 129: 1}], {"": 1}, {"a b": 1, "c: d": 2, "- e": 3, "#f": 4},
]

OPTIONS = [
    {"default_flow_style": None, "allow_unicode": True},
    {"default_flow_style": False, "allow_unicode": True, "indent": 4},
    {"default_flow_style": True, "allow_unicode": True},
    {"default_flow_style": False, "allow_unicode": False, "indent": 2, "width": 40, "sort_keys": False, "explicit_start": True},
    {"default_flow_style": False, "allow_unicode": True, "indent": 8, "width": 1000},
    {"default_flow_style": None, "allow_unicode": True, "width": 20, "indent": 3},
]


class Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data):
        return True


def dump(value, options):
    return {"value": typed(value), "options": options, "yaml": yaml.dump(value, Dumper=Dumper, **options)}


def random_string(rng):
    pieces = ["a", "b", "word", " ", " ", "  ", "\n", "\n", "'", '"', ":", ": ", "#", " #", "-", "- ", ",", "[", "]", "{", "}", "?", "é", "\t", "\\", "1", ".", "0", "\x85", "😀", "\r", "!", "&", "*", "%"]
    return "".join(rng.choice(pieces) for _ in range(rng.choice([1, 2, 3, 5, 8, 40, 120])))


def random_value(rng, depth=0):
    kind = rng.randrange(10 if depth < 4 else 6)
    if kind < 4:
        return random_string(rng)
    if kind == 4:
        return rng.choice([None, True, False, rng.randrange(-1000, 1000), rng.random() * 10 ** rng.randrange(-20, 20)])
    if kind == 5:
        return rng.choice(STRINGS)
    size = rng.choice([0, 1, 2, 3, 12])
    if kind < 8:
        return [random_value(rng, depth + 1) for _ in range(size)]
    return {random_string(rng) if rng.random() < 0.3 else "key%d" % i: random_value(rng, depth + 1) for i in range(size)}


def write(name, cases):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def main():
    rng = random.Random(7)
    if sys.argv[1:2] == ["fuzz"]:
        cases = [dump(random_value(rng), rng.choice(OPTIONS)) for _ in range(int(sys.argv[2]))]
        print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")
        return
    write("scalars.json", [load(word) for word in WORDS])
    write("documents.json", [load(text) for text in DOCUMENTS])
    dumps = [dump(v, o) for v in VALUES + [STRINGS, {"k": STRINGS}, {s: 1 for s in STRINGS}] for o in OPTIONS]
    dumps += [dump(s, OPTIONS[0]) for s in STRINGS]
    dumps += [dump(random_value(rng), rng.choice(OPTIONS)) for _ in range(60)]
    write("dumps.json", dumps)


if __name__ == "__main__":
    main()
