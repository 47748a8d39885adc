"""The environments that the peers run in, one each, apart from Convoy's.

`python benchmarks/peers/environments.py [PEER]…` makes them, all if none is named.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parent
NAMES = ("airbyte", "dlt_rest_api", "floor", "singer")
MADE = PEERS.parent / ".environments"


def environment(peer: str, folder: Path | None = None) -> Path:
    """Return the Python of a peer's environment, made if it isn't there or its lock is another."""
    folder = folder or MADE / peer
    lock = PEERS / peer / "requirements.txt"
    marker, digest = folder / "made-of", hashlib.sha256(lock.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not (marker.is_file() and marker.read_text() == digest and python.exists()):
        print(f"installing {peer} into {folder}, once", file=sys.stderr)
        make(folder, python, lock)
        marker.write_text(digest)
    return python


def make(folder: Path, python: Path, lock: Path) -> None:
    """Make an environment out of nothing but a lock."""
    shutil.rmtree(folder, ignore_errors=True)
    run([shutil.which("python3.11") or sys.executable, "-m", "venv", str(folder)])
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([str(python), *install, "--require-hashes", "-r", str(lock)])


def run(command: list[str]) -> None:
    """Run one step; if it fails, say so in the words of the tool, and stop."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        sys.exit(f"a peer's environment can't be made: {' '.join(command)} failed:\n{said}")


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(environment(name))
