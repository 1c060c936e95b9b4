"""Brings the pinned source archive of ansible-core into the user's cache, by pip."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

# The released archive whose targets are nearest to those that the table was measured with.
VERSION = "2.18.1"


class Unavailable(Exception):
    """The archive is not in the cache and cannot be downloaded."""


def cache() -> pathlib.Path:
    """Returns the directory below which everything fetched is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "xplay" / "conformance"


def source(version: str) -> pathlib.Path:
    """Returns the unpacked sources of a version, downloading them when they are not in the cache."""
    home = cache() / f"ansible_core-{version}"
    if (home / "test" / "integration" / "targets").is_dir():
        return home
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="unpack-") as scratch:
        archive = download(version, pathlib.Path(scratch))
        unpacked = pathlib.Path(scratch) / "unpacked"
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.fully_trusted_filter
            tar.extractall(unpacked)
        shutil.rmtree(home, ignore_errors=True)
        os.rename(next(unpacked.iterdir()), home)
    return home


def download(version: str, scratch: pathlib.Path) -> pathlib.Path:
    """Returns the path of the downloaded archive.

    pip prepares metadata after the download, which can fail for want of build requirements. The archive is wanted alone,
    so what pip downloaded is taken from where it left it.
    """
    saved = scratch / "saved"
    temporary = scratch / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-clean", "--no-binary", ":all:", "--no-deps",
               "--ignore-requires-python", "--dest", str(saved), f"ansible-core=={version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                              env={**os.environ, "TMPDIR": str(temporary)})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"pip could not be run: {error}") from error
    found = sorted(scratch.glob("saved/*.tar.gz")) + sorted(temporary.rglob(f"ansible?core-{version}.tar.gz"))
    if not found:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"pip could not download ansible-core {version}: {lines[-1] if lines else 'no message'}")
    return found[0]
