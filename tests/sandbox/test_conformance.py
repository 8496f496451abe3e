"""Every rung keeps the promises of the Protocol; the container's command line holds every limit."""

from __future__ import annotations

import pytest

from steelyard.errors import SandboxError
from steelyard.sandbox import Limits, Mount, Profile, choose
from steelyard.sandbox.container import arguments
from steelyard.testing.sandbox_conformance import check


def test_the_rung_of_this_machine_conforms() -> None:
    assert len(check(choose())) >= 11


def test_the_rung_none_runs_and_stages() -> None:
    assert len(check(choose("none"), isolates=False)) >= 8


def test_a_container_without_an_engine_or_image_is_refused() -> None:
    with pytest.raises(SandboxError):
        choose("container")


def test_the_command_line_of_a_container_holds_every_limit() -> None:
    limits = Limits(
        processes=9, memory=1 << 20, memory_guarantee=1 << 19, cpus=0.5, workspace=77, workspace_inodes=5
    )
    profile = Profile(limits=limits, mounts=(Mount("/usr/share", "/opt/data"),))
    line = " ".join(arguments("docker", "n", "image", profile))
    for wanted in (
        "--network none",
        "--memory 1048576 --memory-swap 1048576 --memory-reservation 524288",
        "--pids-limit 11 --cpus 0.5",
        "--cap-drop ALL --security-opt no-new-privileges --read-only --user 1000:1000",
        "--tmpfs /workspace:rw,exec,nosuid,nodev,nr_blocks=1,nr_inodes=5,mode=755",
        "--pull never",
        "--volume /usr/share:/opt/data:ro",
        "--entrypoint sh image -c",
    ):
        assert wanted in line
