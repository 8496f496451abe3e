"""No call that the user did not name: the demo passes where only loopback exists, and opens no socket to anywhere else.

Not covered: code below Python that opens sockets by itself (the audit hook sees Python's own); the namespace covers it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """
import os, sys

def hook(event, args):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = args[1] if event in ("socket.connect", "socket.bind", "socket.sendto") else args[0]
        with open(os.environ["SOCKET_LOG"], "a") as f:
            f.write(repr((event, address)) + chr(10))

sys.addaudithook(hook)
"""

SHORT = """
import json, pathlib, re, subprocess, sys
from importlib.resources import files
server = subprocess.Popen(
    [sys.executable, "-m", "steelyard", "serve-models", "--port", "0", "--json"], stdout=subprocess.PIPE
)
try:
    url = json.loads(server.stdout.readline())["base_url"]
    text = files("steelyard.cli").joinpath("demo.yaml").read_text().replace("BASE_URL", url)
    text = re.sub(r"limit: \\d+", "limit: 5", text)
    text = re.sub(r"until: [\\d.]+, at_most: \\d+", "until: 0.3, at_most: 3", text)
    pathlib.Path("plan.yaml").write_text(text)
    command = [sys.executable, "-m", "steelyard", "run", "plan.yaml", "--ledger", "led", "--json", "--no-live"]
    sys.exit(subprocess.run(command).returncode)
finally:
    server.terminate()
    server.wait(20)
"""
DEMO = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-m", "steelyard", "demo", "--ledger", "led", "--json", "--no-live"]).returncode)
"""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def namespace() -> list[str]:
    """The command that makes a network namespace with nothing but loopback; skips where that is not allowed."""
    ip = shutil.which("ip") or shutil.which("ip", path="/sbin:/usr/sbin")
    if shutil.which("unshare") is None or ip is None:
        pytest.skip("unshare and ip are needed for a network namespace")
    command = ["unshare", "-rn", "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh"]
    probe = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=20, check=False)
    if probe.returncode != 0:
        pytest.skip(f"a network namespace is not allowed here: {probe.stderr.strip()[:100]}")
    return command


def addresses(log: Path) -> set[str]:
    """What the hook saw, as text; unix sockets left out."""
    seen = set()
    for line in log.read_text().splitlines():
        _, address = eval(line, {"__builtins__": {}})
        if isinstance(address, str | bytes) and str(address).startswith(("/", "b'/")):
            continue
        host = address[0] if isinstance(address, tuple) else address
        seen.add(host.decode() if isinstance(host, bytes) else str(host))
    return seen


@pytest.mark.parametrize(
    "script", [SHORT, pytest.param(DEMO, marks=pytest.mark.slow)], ids=["short", "whole"]
)
@pytest.mark.timeout(400)
def test_the_demo_needs_loopback_alone_and_opens_no_other_socket(script: str, tmp_path: Path) -> None:
    inside = namespace()
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "demo.py").write_text(script)
    log = tmp_path / "sockets.log"
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("OPENAI")}
    env |= {"PYTHONPATH": str(hooks), "SOCKET_LOG": str(log), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*inside, sys.executable, "demo.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    said = json.loads(done.stdout)
    assert said["status"] == "complete"
    assert all(line["coverage"] == 1.0 for line in said["overall"])
    seen = addresses(log)
    assert seen, "the hook saw nothing: it did not run"
    assert seen <= set(LOOPBACK), f"sockets to elsewhere: {sorted(seen - set(LOOPBACK))}"
