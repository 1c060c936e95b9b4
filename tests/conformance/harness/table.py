"""The table of targets, expected.tsv: what is expected of each, and why one does not pass."""

import dataclasses
import pathlib

FILE = pathlib.Path(__file__).resolve().parent.parent / "expected.tsv"


@dataclasses.dataclass
class Row:
    """One target of the table."""

    name: str
    area: str
    start: str
    network: bool
    seconds: float
    result: str
    reason: str

    @property
    def folder(self) -> str:
        """The directory of the target: `NAME:role` is the role of a target that also has a script."""
        return self.name.split(":")[0]


def rows() -> list[Row]:
    """Returns the rows of the table in its order."""
    found = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, area, start, network, seconds, result, reason = line.split("\t")
            found.append(Row(name, area, start, network == "net", float(seconds), result, reason))
    return found


def record(passed: set[str]) -> None:
    """Marks targets as passing. Nothing is ever marked as failing: what passed once has to pass."""
    lines = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if cells[0] in passed:
            line = "\t".join([*cells[:5], "pass", "-"])
        lines.append(line + "\n")
    FILE.write_text("".join(lines), encoding="utf-8")


def unlisted(name: str, targets: pathlib.Path) -> Row:
    """Returns a row for a target of the archive that the table does not name."""
    script = (targets / name.split(":")[0] / "runme.sh").exists() and not name.endswith(":role")
    return Row(name, "-", "script" if script else "role", True, 60.0, "fail", "not in the table")
