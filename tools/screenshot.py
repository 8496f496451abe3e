"""Picture of a terminal session: `script -qec "steelyard demo" tty.log; python tools/screenshot.py tty.log docs/images/demo.png`.

Draws the last frame of the live view and what came after it. Needs Chromium to turn rich's SVG into a PNG, and
Pillow to make it small; the fonts are those of the machine (rich would fetch one).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

WIDTH = 121
STYLE = re.compile(r"\x1b\[(?![0-9;]*m)[0-9;?]*[A-Za-z]")  # cursor movements; colours stay


def picture(log: str) -> str:
    """The session as SVG."""
    lines = [STYLE.sub("", line.rsplit("\r", 1)[-1]) for line in log.replace("\r\n", "\n").split("\n")]
    begin = max(i for i, line in enumerate(lines) if "at most" in line and "█" in line)
    lines = [line for line in lines[begin:] if not line.startswith(("done ", "Script done"))]
    with Path("/dev/null").open("w") as sink:
        console = Console(record=True, width=WIDTH, file=sink, force_terminal=True, color_system="truecolor")
        console.print(Text("$ make demo", style="bold"))
        for line in lines:
            console.print(Text.from_ansi(line.rstrip()))
    svg = console.export_svg(title="steelyard demo")
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code", "DejaVu Sans Mono")


def main() -> int:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    svg = picture(source.read_text(encoding="utf-8", errors="replace"))
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        return 1
    width, height = int(float(box.group(1))) + 1, int(float(box.group(2))) + 1
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(f"<style>body{{margin:0}}svg{{width:{width}px}}</style>{svg}", encoding="utf-8")
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
            f"--screenshot={target.resolve()}", page.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    Image.open(target).convert("RGB").quantize(16).save(target, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
