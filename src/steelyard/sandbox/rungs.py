"""Which rung to use: the strongest that holds on this machine, or the one asked for by name, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.errors import SandboxError
from steelyard.sandbox.bare import Bare
from steelyard.sandbox.base import Rung
from steelyard.sandbox.box import Namespaces
from steelyard.sandbox.container import Container, engine
from steelyard.sandbox.selfcheck import self_check

if TYPE_CHECKING:
    from steelyard.sandbox.base import Sandbox


def choose(wanted: Rung | str | None = None, *, image: str = "") -> Sandbox:
    """A sandbox whose protections were proven here and now.

    Without a wish: `root` or `user`, whichever this machine gives. A wish is met exactly, or refused with
    `SandboxError`: nothing runs weaker than asked. `none` isolates nothing and comes only by name;
    `container` needs an image.
    """
    rung = Rung(wanted) if wanted else None
    if rung is Rung.NONE:
        return Bare()
    if rung is Rung.CONTAINER:
        program = engine()
        if not program:
            raise SandboxError("neither docker nor podman answers here; start one, or ask for another rung")
        if not image:
            raise SandboxError(
                "the container rung needs an image that is here already: name it with --image, or from Python "
                "with choose('container', image=NAME)"
            )
        return Container(program, image)
    report = self_check()
    if report.rung is None:
        raise SandboxError(
            f"no sandbox can be had here: {report.why}; see `steelyard doctor --sandbox`, or ask for "
            "'none' by name, which isolates nothing"
        )
    if rung is Rung.ROOT and report.rung is not Rung.ROOT:
        raise SandboxError("the root rung was asked for; this process is not root, or may not make cgroups")
    return Namespaces()
