"""What a machine is like: read on it by the text below, compared here."""

import difflib
import json
import re

# Differs between two runs of the same program: not looked at, or looked at without the content.
IGNORED = [
    r"/(proc|sys|dev|run|tmp)(/.*)?",
    r"/var/(log|tmp|cache)/.*",
    r"/var/lib/(apt|systemd|private|ntpsec|fail2ban|logrotate|dbus)/.*",
    r"/var/lib/(mysql|postgresql|redis)/.*",
    r"/var/lib/dpkg/(info/.*|.*-old|triggers/.*|lock.*)",
    r"/var/lib/ucf/cache/.*",
    r"/root/\.(ansible|cache|npm|xplay|mysql_history|psql_history)(/.*)?",
    r".*/__pycache__(/.*)?",
    r".*\.pyc",
    r".*\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~",
]
OPAQUE = [
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-",
    r"/etc/(ld\.so\.cache|machine-id|\.updated|resolv\.conf)",
    r"/etc/ssh/ssh_host_.*",
    r"/etc/ssl/(certs/ssl-cert-snakeoil\.pem|certs/java/cacerts|private/.*)",
    r"/var/lib/dpkg/(status|available|diversions|statoverride)",
    r"/var/\.updated",
    r"/usr/lib/jvm/.*/classes\.jsa",
    r"/lib/systemd/.*\.cache",
]

READ = r"""
import grp, hashlib, json, os, pwd, re, stat, subprocess, sys
ignored, opaque = (re.compile("(?:%s)" % "|".join(words)) for words in json.loads(sys.argv[1]))
def name(number, find):
    try:
        return find(number)[0]
    except KeyError:
        return str(number)
def content(path, info):
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(info.st_mode) or opaque.fullmatch(path):
        return ""
    data = open(path, "rb").read()
    data = re.sub(rb"(?m)^# Updated by Ansible - .*\n", b"", data)
    if path in ("/etc/shadow", "/etc/gshadow"):
        data = re.sub(rb"(?m)^([^:\n]*):\$(\w+)\$[^:\n]*", rb"\1:$\2$HASH", data)
        data = re.sub(rb"(?m)^([^:\n]*:[^:\n]*):\d{4,6}:", rb"\1:DAY:", data)
    if path.startswith("/etc/") and len(data) < 65536:
        texts[path] = data.decode("utf-8", "backslashreplace")
    return hashlib.sha256(data).hexdigest()
files, texts = {}, {}
def read(path):
    info = os.lstat(path)
    files[path] = [
        stat.filemode(info.st_mode), name(info.st_uid, pwd.getpwuid), name(info.st_gid, grp.getgrgid), content(path, info)
    ]
    return stat.S_ISDIR(info.st_mode)
def walk(path):
    for entry in sorted(os.listdir(path)):
        child = os.path.join(path, entry)
        if not ignored.fullmatch(child) and read(child):
            walk(child)
walk("/")
def lines(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True).stdout.splitlines()
units = lines("systemctl", "list-units", "--type=service", "--state=active", "--plain", "--no-legend")
print(json.dumps({
    "files": files,
    "texts": texts,
    "packages": lines("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"),
    "installed by hand": sorted(lines("apt-mark", "showmanual")),
    "running": sorted(line.split()[0] for line in units if "session" not in line and "user@" not in line),
    "enabled": lines("systemctl", "list-unit-files", "--plain", "--no-legend", "--state=enabled,masked"),
}))
"""


def read(machine, questions):
    """Returns what a machine is like, with the answers to a trial's own questions."""
    words = json.dumps([IGNORED, OPAQUE])
    ran = machine.run(["python3", "-c", READ, words], check=True)
    state = json.loads(ran.stdout)
    for question in questions:
        answer = machine.run(["sh", "-c", question])
        state[question] = (answer.stdout + answer.stderr).splitlines() + [f"rc {answer.returncode}"]
    return state


def differences(left, right):
    """Returns a line for everything in which two states differ."""
    found = []
    for path in sorted({*left["files"], *right["files"]}):
        one, other = left["files"].get(path), right["files"].get(path)
        if one != other:
            found.append(f"{path}: {shown(one)} | {shown(other)}{lines_between(path, left, right)}")
    for key in left:
        if key not in ("files", "texts"):
            found += [f"{key}: {line} | -" for line in left[key] if line not in right[key]]
            found += [f"{key}: - | {line}" for line in right[key] if line not in left[key]]
    return found


def lines_between(path, left, right):
    """Returns in which lines two configuration files differ."""
    sides = [state["texts"].get(path) for state in (left, right)]
    if None in sides or sides[0] == sides[1]:
        return ""
    lines = difflib.unified_diff(*(side.splitlines() for side in sides), n=0, lineterm="")
    return "".join(f"\n    {line}" for line in list(lines)[2:])


def shown(entry):
    """Returns one file's entry in words."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", " ".join(entry).strip()) if entry else "-"
