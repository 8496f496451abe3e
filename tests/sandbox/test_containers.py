"""The container rung, run for real where an engine can: the conformance suite, its limits, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox.images import NAME, build, runs
from tests.sandbox.people import environment

from steelyard.sandbox.container import engine

_WITH_RUNC = '[engine]\nruntime = "runc"\n'
_HEAD = f"from steelyard.sandbox import Limits, Profile, choose\nbox = choose('container', image={NAME!r})\n"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What an engine needs here: where its usual runtime refuses, another one."""
    program = engine()
    if not program:
        pytest.skip("neither docker nor podman answers here")
    trouble = build(program)
    if trouble:
        pytest.skip(f"{program} cannot import an image here: {trouble}")
    conf = tmp_path_factory.mktemp("containers") / "containers.conf"
    conf.write_text(_WITH_RUNC)
    tried = [{}, {"CONTAINERS_CONF": str(conf)}]
    troubles = []
    for env in tried:
        troubles.append(runs(program, env))
        if not troubles[-1]:
            yield {**environment(), "HOME": os.environ.get("HOME", "/"), **env}
            subprocess.run([program, "rmi", "--force", NAME], capture_output=True, timeout=60)
            return
    pytest.skip(f"{program} cannot run a container here: {troubles}")


def python(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=250, check=False
    )


def listed(env: dict[str, str]) -> str:
    """Our containers and volumes that the engine knows."""
    words = [["ps", "--all", "--format", "{{.Names}}"], ["volume", "ls", "--format", "{{.Name}}"]]
    shown = [
        subprocess.run([engine(), *w], env=env, capture_output=True, text=True, timeout=60).stdout
        for w in words
    ]
    return "".join(line for text in shown for line in text.splitlines(keepends=True) if "steelyard-" in line)


def test_containers_conform(variables: dict[str, str]) -> None:
    code = _HEAD + "from steelyard.testing.sandbox_conformance import check\nprint(len(check(box)))"
    done = python(code, variables)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 11
    assert listed(variables) == ""


def test_limits_of_a_container_bite(variables: dict[str, str]) -> None:
    code = _HEAD + (
        "import json\nfrom steelyard.sandbox.base import Command\n"
        "limits = Limits(memory=64 << 20, memory_guarantee=0, processes=20, workspace=4 << 20, workspace_inodes=50, tmp=4 << 20)\n"
        "def run(line):\n"
        "    r = box.once(Profile(limits=limits), Command(('sh', '-c', line)))\n"
        "    return r.ended.value, r.stdout.decode(), r.stderr.decode()[-200:]\n"
        "print(json.dumps({\n"
        "  'inodes': run('n=0; while [ $n -lt 200 ] && : > f$n; do n=$((n+1)); done; ls | head -c 9999'),\n"
        "  'bytes': run('head -c 9000000 /dev/zero > big; ls -l big'),\n"
        "  'tmp': run('head -c 99000000 /dev/zero > /tmp/big; ls -l /tmp/big'),\n"
        "  'memory': run('head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null; dd if=/dev/zero of=/dev/null bs=150M count=1'),\n"
        "  'forks': run('n=0; while [ $n -lt 60 ]; do sleep 5 & n=$((n+1)); done; echo all'),\n"
        "  'elsewhere': run('for d in / /etc /usr /var/tmp /run /home /opt; do : > $d/x && echo GOT $d; done'),\n"
        "  'rights': run('id -u; while read -r k v; do case $k in Cap*|NoNew*) echo $k $v;; esac; done < /proc/self/status'),\n"
        "  'environment': run('env'),\n"
        "}))\n"
    )
    done = python(code, {**variables, "SECRET_OF_THE_HOST": "seven", "HTTP_PROXY": "http://proxy.invalid"})
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert len(seen["inodes"][1].split()) < 50
    assert "No space left" in seen["bytes"][2]
    assert "No space left" in seen["tmp"][2]
    assert seen["memory"][0] == "out_of_memory"
    assert "all" not in seen["forks"][1]
    assert "GOT" not in seen["elsewhere"][1]
    assert seen["rights"][1].split()[0] == "1000"
    assert set(seen["rights"][1].split()[2::2]) == {"0000000000000000", "1"}
    assert "seven" not in seen["environment"][1]
    assert "proxy" not in seen["environment"][1]


def test_the_command_brings_back_what_a_container_changed(variables: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "old").write_text("old")
    argv = [sys.executable, "-m", "steelyard", "sandbox", "run", "--rung", "container", "--image", NAME]
    argv += ["--workspace", str(work), "--json", "--"]
    argv += [
        "sh",
        "-c",
        "cat old; rm old; echo new > new; ln -s /etc/shadow out; mkfifo p; (sleep 9; echo x > late) & exit 3",
    ]
    env = {**variables, "STEELYARD_STATE": str(tmp_path / "state")}
    done = subprocess.run(argv, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["rung"], told["stdout"]) == ("container", "old")
    assert sorted(p.name for p in work.iterdir()) == ["new"]
    assert {r["path"] for r in told["changes"]["refused"]} == {"out", "p"}
    assert listed(variables) == ""


def test_a_killed_owner_leaves_no_container(variables: dict[str, str]) -> None:
    code = _HEAD + "import time\nheld = box.open(Profile())\nprint('ready', flush=True)\ntime.sleep(300)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert "steelyard-" in listed(variables)
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30
    while "-tmp" not in listed(variables).splitlines()[0] and time.monotonic() < end:
        time.sleep(0.5)  # the container ends with its input; its volumes stay
    python(_HEAD, variables)
    assert listed(variables) == ""


def test_an_image_that_is_not_here_is_not_fetched(variables: dict[str, str]) -> None:
    code = "from steelyard.sandbox import Profile, choose\nchoose('container', image='python:3.12-slim').open(Profile())"
    done = python(code, variables)
    assert done.returncode != 0
    assert "SandboxError" in done.stderr.splitlines()[-1]
    assert "pull" not in done.stderr.splitlines()[-1].lower().replace("pull never", "")
