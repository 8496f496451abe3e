"""A run that a cap on time stops, and that is taken up again: what is finished is never sent twice.

Run it: `python examples/10_resume.py`. Offline: the endpoint is a scripted one on loopback that counts its requests.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from steelyard.testing.stub import StubOptions, prompt_of, stub_thread


def main() -> None:
    """Run, and resume until everything is done."""
    options = StubOptions(answer=lambda request: prompt_of(request).split()[-1], latency_s=0.1)
    with tempfile.TemporaryDirectory() as name, stub_thread(options) as stub:
        folder = Path(name)
        rows = [f'{{"input": "Repeat: {i}", "target": "{i}"}}\n' for i in range(120)]
        (folder / "data.jsonl").write_text("".join(rows))
        (folder / "plan.yaml").write_text(
            f"suites: [data.jsonl]\n"
            f"contestants: [{{model: m, base_url: {stub.base_url!r}, max_tokens: 5}}]\n"
            f"caps: {{seconds: 2}}\n"
            f"concurrency: 4\n"
        )

        def steelyard(*words: str) -> int:
            command = [sys.executable, "-m", "steelyard", *words, "--ledger", "ledger"]
            return subprocess.run(command, cwd=folder, check=False).returncode

        code, sessions = steelyard("run", "plan.yaml"), 1
        while code == 6 and sessions < 20:  # 6: a cap was reached
            code, sessions = steelyard("resume", "last"), sessions + 1
        twice = sum(n > 1 for n in stub.counts.received.values())
        print(f"exit code {code} after {sessions} sessions; questions sent more than once: {twice}")


if __name__ == "__main__":
    main()
