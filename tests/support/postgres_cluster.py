"""PostgreSQL's programs, and an initialised cluster to copy."""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support import packages

DATABASE = "store_gateway"
USER, PASSWORD = "gateway", "a-secret-of-the-hub"
# A superuser starts no PostgreSQL; this user owns nothing else.
UNPRIVILEGED = "nobody"
# Where root's own cache is, others may not look.
ROOT_CACHE = Path("/var/cache/store-gateway/postgres")
ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
# The database that initdb makes is taken, as a second one would be copied each time too.
ROLES = f"""\
CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'
ALTER DATABASE postgres RENAME TO {DATABASE}
ALTER DATABASE {DATABASE} OWNER TO {USER}
"""


def owner() -> dict[str, Any]:
    """Arguments of Popen: who runs the server."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give(folder: Path) -> None:
    """Make a folder the server's own."""
    arguments = owner()
    if arguments:
        os.chown(folder, arguments["user"], arguments["group"])


def _cache() -> Path:
    if os.getuid() != 0:
        return packages.cache("postgres")
    ROOT_CACHE.mkdir(parents=True, exist_ok=True)
    return ROOT_CACHE


def programs() -> tuple[Path, dict[str, str]]:
    """The folder of PostgreSQL's programs, installed or unpacked; the environment they need."""
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent, {**os.environ, "LC_ALL": "C"}
    root, environment = Path("/"), dict(os.environ)
    if not _folders(root):
        root, environment = packages.unpacked("postgresql", _cache())
    return _folders(root)[-1], {**environment, "LC_ALL": "C"}


def _folders(root: Path) -> list[Path]:
    """Debian's folders of programs, the newest version last."""
    found = (path.parent for path in root.glob("usr/lib/postgresql/*/bin/postgres"))
    return sorted(found, key=lambda path: float(path.parent.name))


def template(folder: Path, environment: dict[str, str]) -> Path:
    """An initialised database cluster, made once for each version: copying it is faster."""
    version = _run([folder / "postgres", "--version"], environment, folder)
    key = hashlib.sha256(f"{version}{ACCESS}{ROLES}".encode()).hexdigest()[:16]
    path = _cache() / f"cluster-{key}"
    if not path.exists():
        work = path.with_name(f"{path.name}.{os.getpid()}")
        work.mkdir(mode=0o700)
        give(work)
        _initialise(folder, environment, work)
        try:
            work.rename(path)
        except OSError:
            # Another process was faster.
            shutil.rmtree(work)
    return path


def _initialise(folder: Path, environment: dict[str, str], work: Path) -> None:
    # Small segments, as each server starts with a copy of one.
    options = ["--username=postgres", "--locale=C", "--encoding=UTF8", "--wal-segsize=1"]
    _run([folder / "initdb", "-D", work, *options, "--auth=trust", "--no-sync"], environment, work)
    _run([folder / "postgres", "--single", "-D", work, "template1"], environment, work, ROLES)
    # In place of what "trust" wrote.
    (work / "pg_hba.conf").write_text(ACCESS)


def _run(command: list[Any], environment: dict[str, str], folder: Path, words: str = "") -> str:
    ended: subprocess.CompletedProcess[str] = subprocess.run(
        command, input=words, env=environment, cwd=folder, capture_output=True, text=True, **owner()
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
