"""Namespaces in which a target may change the whole machine and nothing remains."""

import functools
import pathlib
import shlex
import shutil
import subprocess

# Enters a copy-on-write view of the root directory. The network is the machine's own or a loopback of its own.
SCRIPT = """
set -e
work=$1 original=$2 view=$3; shift 3
mount --make-rprivate /
mkdir -p "$work/over"
mount -t tmpfs tmpfs "$work/over"
mkdir "$work/over/upper" "$work/over/state" "$work/over/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/over/upper,workdir=$work/over/state" "$work/over/root"
root=$work/over/root
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock" "$root/run/sshd"
for path in "$work" $KEEP_VISIBLE; do
    [ -d "$root$path" ] || mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
done
if [ -n "$view" ]; then
    mkdir "$work/over/view" "$work/over/view-state"
    mount -t overlay overlay -o "lowerdir=$original,upperdir=$work/over/view,workdir=$work/over/view-state" "$root$view"
fi
# Hosts of Ansible's own test program are reached with a key, so this file is there.
if [ -n "${HOME-}" ] && [ ! -e "$root$HOME/.ssh/authorized_keys" ]; then
    mkdir -p "$root$HOME/.ssh" && chmod 0700 "$root$HOME/.ssh" && : >"$root$HOME/.ssh/authorized_keys"
fi
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true
exec chroot "$root" sh -c 'cd "$1"; shift; exec "$@"' sh "$@"
"""


@functools.lru_cache(maxsize=None)
def prefix(network: bool) -> tuple[str, ...]:
    """Returns the command that makes the namespaces, empty when the kernel forbids them."""
    if not shutil.which("unshare"):
        return ()
    for user in ((), ("--user", "--map-root-user")):
        command = ("unshare", *user, "--mount", "--pid", "--fork", "--kill-child", "--uts",
                   *(() if network else ("--net",)))
        probe = ("sh", "-ec", 'd=$(mktemp -d); mount -t tmpfs t "$d"; mkdir "$d/u" "$d/w" "$d/r"; '
                 'mount -t overlay o -o "lowerdir=/,upperdir=$d/u,workdir=$d/w" "$d/r"; mount -t proc p "$d/r/proc"')
        if subprocess.run([*command, *probe], capture_output=True, check=False).returncode == 0:
            return command
    return ()


def command(work: pathlib.Path, directory: pathlib.Path, network: bool, visible: list[pathlib.Path],
            view: tuple[str, str], wanted: list[str]) -> list[str]:
    """Returns the command that runs `wanted` in `directory` inside a sandbox, or as it is where there is none.

    `view` names a directory and the empty one at which its files are seen and may be changed; both may be empty.
    """
    namespaces = prefix(network)
    if not namespaces:
        return wanted
    paths = " ".join(shlex.quote(str(path)) for path in visible)
    script = SCRIPT.replace("$KEEP_VISIBLE", paths)
    return [*namespaces, "sh", "-c", script, "sandbox", str(work), *view, str(directory), *wanted]
