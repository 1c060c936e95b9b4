"""A throwaway Debian machine: systemd in namespaces of its own, above an overlay of a given root tree.

Its network is its own and reaches out through slirp4netns, so that nothing it opens, filters or claims is seen outside.
Kernel settings are a copy in memory, and the clock, modules and raw devices are out of reach.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PORT = 2222
CGROUPS = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]

BOOT = r"""
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/root"
cd "$DIR/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o mode=755 tmpfs "$DIR/sys"
cp -r --no-preserve=ownership /proc/sys/. "$DIR/sys" 2>/dev/null || :
mount --move "$DIR/sys" proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do : > dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${n%:*} dev/${n#*:}; done
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$PACKAGES" var/cache/apt/archives
ip link set lo up
hostname trial
# Services with users of their own cannot be started in what is merely another root directory.
pivot_root . mnt
exec setpriv --bounding-set -sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog \
    env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot . /bin/sh -c 'cd / && umount -l /mnt && exec /sbin/init' </dev/null
"""

SSHD = f"""
Port {PORT}
ListenAddress 127.0.0.1
HostKey /run/trial/host_key
AuthorizedKeysFile /run/trial/user_key.pub
PidFile /run/trial/sshd.pid
StrictModes no
UsePAM no
"""


class Machine:
    """One machine, from boot to end."""

    def __init__(self, root, directory, packages):
        self.directory = Path(directory)
        for name in ("upper", "work", "root", "sys"):
            (self.directory / name).mkdir(parents=True)
        packages.joinpath("partial").mkdir(parents=True, exist_ok=True)
        parent = next(path for path in CGROUPS if (path / "cgroup.controllers").exists())
        self.cgroup = parent / f"xplay-trial-{os.getpid()}-{self.directory.name}"
        self.cgroup.mkdir()
        environment = dict(os.environ, ROOT=str(root), DIR=str(self.directory), PACKAGES=str(packages))
        join = f'echo $$ > {self.cgroup}/cgroup.procs; exec "$@"'
        namespaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
        with open(self.directory / "boot.log", "w") as log:
            self.holder = subprocess.Popen(
                ["sh", "-c", join, "sh", "unshare", *namespaces, "--fork", "--kill-child", "sh", "-c", BOOT],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
            self.pid = self._first_process()
            self.network = subprocess.Popen(
                ["slirp4netns", "--configure", "--mtu=65520", str(self.pid), "tap0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self._wait("the system to be up", self._is_up)
        self._start_sshd()

    def _first_process(self):
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        for _ in range(200):
            if pids := children.read_text().split():
                return int(pids[0])
            time.sleep(0.05)
        raise RuntimeError(f"no first process: see {self.directory}/boot.log")

    def _wait(self, what, holds):
        for _ in range(300):
            if holds():
                return
            if self.holder.poll() is not None:
                raise RuntimeError(f"the machine ended: see {self.directory}/boot.log")
            time.sleep(0.2)
        raise RuntimeError(f"waited in vain for {what}: see {self.directory}/boot.log")

    def _is_up(self):
        if not os.readlink(f"/proc/{self.pid}/exe").endswith("/systemd"):
            return False
        state = self.run(["systemctl", "is-system-running"]).stdout.strip()
        return state in ("running", "degraded")

    def _start_sshd(self):
        for key in ("host_key", "user_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / key)]
            subprocess.run(command, check=True)
        host_key = (self.directory / "host_key.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{PORT} {host_key}")
        self.run(["mkdir", "-p", "-m", "755", "/run/trial", "/run/sshd"])
        self._put("sshd_config", SSHD)
        for name in ("host_key", "user_key.pub"):
            self._put(name, (self.directory / name).read_text())
        self.run(["/usr/sbin/sshd", "-f", "/run/trial/sshd_config", "-E", "/run/trial/log"], check=True)

    def _put(self, name, text):
        self.run(["sh", "-c", f"umask 077; cat > /run/trial/{name}"], input=text, check=True)

    def run(self, command, **options):
        """Runs a command on the machine."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        options.setdefault("input", "")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        return subprocess.run([*enter, *command], capture_output=True, text=True, env=environment, **options)

    def control(self, command, **options):
        """Runs a command of this side in the machine's network only."""
        return subprocess.run(["nsenter", "-t", str(self.pid), "-n", *command], **options)

    def stop(self):
        """Ends everything that runs on the machine and removes its files."""
        os.kill(self.pid, signal.SIGKILL)
        self.holder.wait()
        self.network.terminate()
        self.network.wait()
        groups = sorted(self.cgroup.rglob("*/"), reverse=True)
        for group in [*(path for path in groups if path.is_dir()), self.cgroup]:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.1)
        shutil.rmtree(self.directory, ignore_errors=True)


def missing():
    """Says what this system lacks for machines."""
    if os.geteuid() != 0:
        return "needs root"
    if not hasattr(socket, "AF_UNIX") or not any((path / "cgroup.controllers").exists() for path in CGROUPS):
        return "needs Linux with cgroup2"
    tools = ("unshare", "nsenter", "setpriv", "pivot_root", "slirp4netns", "ssh-keygen", "ip")
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"these tools are missing: {', '.join(absent)}" if absent else None
