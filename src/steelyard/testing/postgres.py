"""A real PostgreSQL server for tests: a fresh cluster in a temporary folder, reached by a unix socket only.

Uses the programs of Debian's package `postgresql` (or those on PATH). The server refuses to run as root, so root runs
it as the user `postgres`. Not covered: anything but Linux.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

DEBIAN = Path("/usr/lib/postgresql")


def find_programs() -> Path | None:
    """The folder that holds `initdb` and `pg_ctl`: Debian's newest, else the one on PATH; None when absent."""
    for folder in sorted(DEBIAN.glob("*/bin"), key=lambda p: p.parent.name, reverse=True):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@contextlib.contextmanager
def server(programs: Path) -> Iterator[str]:
    """Run a server; yields its address without a database: `postgresql://user@/{}?host=...` to be formatted."""
    # unix socket paths are short: the folder must be near the root
    folder = Path(tempfile.mkdtemp(prefix="steelyard-pg-", dir="/tmp"))
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"

    def run(*command: str) -> None:
        with (folder / "out.txt").open("ab") as out:
            done = subprocess.run(
                [str(programs / command[0]), *command[1:]],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                check=False,
                timeout=120,
                user=user if os.getuid() == 0 else None,
                group=user if os.getuid() == 0 else None,
                extra_groups=[] if os.getuid() == 0 else None,
            )
        if done.returncode:
            raise RuntimeError(
                f"{command[0]} failed:\n{(folder / 'out.txt').read_text(errors='replace')[-2000:]}"
            )

    try:
        run(
            "initdb",
            "-D",
            str(data),
            "-U",
            user,
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        )
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=60"
        run("pg_ctl", "-D", str(data), "-w", "-o", options, "-l", str(folder / "server.log"), "start")
        try:
            yield f"postgresql://{user}@/{{}}?host={quote(str(folder), safe='')}"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
