"""Throwaway OpenSSH servers on loopback addresses, and a proxy that delays what passes through it."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time

# One server listens on at most this many addresses (MAX_LISTEN_SOCKS of OpenSSH).
ADDRESSES_PER_SERVER = 16

CONFIG = """\
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 1000
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv HOME={folder}/home
LogLevel ERROR
"""


class Cluster:
    """Hosts of 127.0.0.0/8, started when a workload asks for them."""

    def __init__(self, scratch):
        self.folder = scratch / "sshd"
        (self.folder / "home").mkdir(parents=True)
        self.user = getpass.getuser()
        self.servers = []
        self.addresses = []
        self.port = free_port()
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.folder / "sshd_config").write_text(CONFIG.format(folder=self.folder))
        self.known_hosts = self.folder / "known_hosts"
        self.key = self.folder / "user_key"
        self.host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text("")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)

    def hosts(self, count):
        """Returns so many addresses that answer."""
        while len(self.addresses) < count:
            self.start_server()
        return self.addresses[:count]

    def start_server(self):
        first = len(self.addresses)
        more = [f"127.88.{n // 250}.{n % 250 + 1}" for n in range(first, first + ADDRESSES_PER_SERVER)]
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        listen = [word for a in more for word in ("-o", f"ListenAddress={a}:{self.port}")]
        command = [sshd, "-D", "-e", "-f", self.folder / "sshd_config", *listen]
        log = open(self.folder / f"log.{first}", "w")
        self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        for address in more:
            wait_for(address, self.port)
        self.addresses += more
        with open(self.known_hosts, "a") as file:
            for address in more:
                file.write(f"[{address}]:{self.port} {self.host_key}\n")

    def know(self, port):
        """Makes the first host's key known on another port too, where a proxy leads to it."""
        with open(self.known_hosts, "a") as file:
            file.write(f"[127.0.0.1]:{port} {self.host_key}\n")

    def ssh(self, *more):
        """Returns the command line of a client that is set up for these hosts."""
        return ["ssh", "-p", str(self.port), *self.options(), *more]

    def options(self):
        return ["-i", str(self.key), "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "BatchMode=yes",
                "-F", "/dev/null"]

    def stop(self):
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.wait()


class Proxy:
    """Passes a connection on and delays each direction by half the round trip."""

    def __init__(self, address, port, round_trip_ms):
        command = [sys.executable, __file__, address, str(port), str(round_trip_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(address, port):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"no server answers on {address}:{port}")


def serve_delayed(address, port, round_trip_ms):
    """The proxy's own program: bytes go on half a round trip after they came, in order."""
    import asyncio

    delay = round_trip_ms / 2000

    async def pump(reader, writer):
        queue = asyncio.Queue()

        async def deliver():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0, due - loop.time()))
                if data is None:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        loop = asyncio.get_running_loop()
        delivery = asyncio.ensure_future(deliver())
        try:
            while data := await reader.read(65536):
                queue.put_nowait((loop.time() + delay, data))
        except OSError:
            pass
        queue.put_nowait((loop.time() + delay, None))
        await delivery

    async def accept(reader, writer):
        there_reader, there_writer = await asyncio.open_connection(address, port)
        for w in (writer, there_writer):
            w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer), return_exceptions=True)

    async def serve():
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    serve_delayed(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
