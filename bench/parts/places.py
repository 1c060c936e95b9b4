"""Where things are: the repository, the cache of tools and results, the scratch folder of one run."""

import os
import pathlib
import shutil
import tempfile

BENCH = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "xplay-bench"


class Scratch:
    """A folder that lives as long as the run."""

    def __init__(self, keep):
        self.keep = keep
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="xplay-bench-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.keep:
            print(f"kept: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def fresh(self, name):
        """Returns an empty folder of that name."""
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path
