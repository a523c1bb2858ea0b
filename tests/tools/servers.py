"""A real object store and a real database for tests, where setup has installed them.

In: the programs. Out: what a project needs to stand on them. A shell stands between the test and each
server: when its input ends, by whatever death the test dies, it stops the server and removes its files.
"""

import pathlib
import pwd
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from conftest import ROOT

KEY_ID, KEY = "headwater-test", "headwater-test-key"

WEED = ROOT / ".tools/seaweedfs/bin/weed"
# What the tests in Rust start is started here too.
GUARDS = ROOT / "crates/testkit/src"


def free_ports(count):
    """Ports below those that outgoing connections are given."""
    ports, next_port = [], 20000 + os.getpid() % 8000
    while len(ports) < count:
        next_port += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", next_port))
            except OSError:
                continue
        ports.append(next_port)
    return ports


def wait_until(what, is_so, seconds=120):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def answers(url, method="GET"):
    """Whether a request is answered with success."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False


class Guarded:
    """A server behind its shell."""

    def __init__(self, script, folder, arguments, **how):
        self.guard = subprocess.Popen(
            ["/bin/sh", "-c", (GUARDS / script).read_text(), "guard", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **how,
        )

    def stop(self):
        self.guard.stdin.close()
        self.guard.wait(60)


class Seaweed(Guarded):
    """An object store with one key."""

    def __init__(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="headwater-s3-"))
        (folder / "data").mkdir()
        shutil.copy(GUARDS / "seaweed.json", folder / "identities.json")
        ports = free_ports(8)
        super().__init__("seaweed.sh", folder, [WEED, folder, *ports])
        self.files, self.endpoint = f"http://127.0.0.1:{ports[4]}", f"http://127.0.0.1:{ports[6]}"
        wait_until("the object store", lambda: answers(f"{self.endpoint}/status"))

    def bucket(self, name):
        """Makes a bucket: a folder of the file server behind."""
        wait_until("a bucket", lambda: answers(f"{self.files}/buckets/{name}/", "POST"))
        return name


class Postgres(Guarded):
    """A database server that trusts everybody on loopback."""

    def __init__(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="headwater-pg-"))
        how = {}
        if os.geteuid() == 0:
            # The server refuses to run as root.
            user = pwd.getpwnam("postgres")
            how = {"user": user.pw_uid, "group": user.pw_gid}
            shutil.chown(folder, user.pw_uid, user.pw_gid)
        programs = postgres_programs()
        subprocess.run(
            [programs / "initdb", "--auth=trust", "--username=headwater", "--no-sync", "--encoding=UTF8",
             "--locale=C", "--pgdata", folder / "data"],
            check=True, capture_output=True, cwd=folder, timeout=120, **how,
        )
        (self.port,) = free_ports(1)
        super().__init__("postgres.sh", folder, [programs, folder, self.port], **how)
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until("the database", lambda: subprocess.run(ready, timeout=30).returncode == 0)
        self.programs = programs

    def database(self, name):
        """Makes an empty database; gives its URL."""
        at = ["-h", "127.0.0.1", "-U", "headwater", "-p", str(self.port)]
        create = [self.programs / "createdb", *at, "--template=template0", name]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
        return f"postgres://headwater@127.0.0.1:{self.port}/{name}"


def postgres_programs():
    """The programs of the newest version that is installed; nothing when none is."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


MISSING = [what for what, there in (("SeaweedFS", WEED.is_file()), ("PostgreSQL", postgres_programs())) if not there]


class Servers:
    """Both, for any number of projects."""

    def __init__(self):
        self.store, self.databases, self.made = Seaweed(), Postgres(), 0

    def project(self):
        """Settings and secrets of a fresh project."""
        self.made += 1
        name = f"tools{self.made}"
        settings = (
            f'[storage]\nmetadata = "{self.databases.database(name)}"\n'
            f'objects = "s3://{self.store.bucket(name)}/project"\n'
            f'[storage.s3]\nendpoint = "{self.store.endpoint}"\n'
        )
        return {"settings": settings, "secrets": {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY}}

    def stop(self):
        self.store.stop()
        self.databases.stop()
