"""How each peer is made to do the same work: one prompt a task, 64 at once, a regex or exact score, default logging."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset, FieldSpec
from inspect_ai.scorer import match
from inspect_ai.solver import generate

@task
def stub():
    return Task(dataset=json_dataset(DATA, FieldSpec(input="input", target="target", id="id")), solver=generate(), scorer=match())
"""
LM_EVAL = """task: stub
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{input}}"
doc_to_target: "{{target}}"
generation_kwargs: {until: [], max_gen_toks: 16, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


def find_peers(root: Path | None, folder: Path, data: Path, address: str) -> dict[str, list[str]]:
    """Commands of the peers that are installed; says which are not."""
    found: dict[str, list[str]] = {}

    def program(*names: str) -> str | None:
        for name in names:
            for base in [root] if root else []:
                hits = [
                    base / "bin" / name,
                    base / "py" / "bin" / name,
                    base / "node_modules" / ".bin" / name,
                    base / "npm" / "node_modules" / ".bin" / name,
                ]
                for hit in hits:
                    if hit.exists():
                        return str(hit)
        return shutil.which(names[0])

    inspect = program("inspect")
    if inspect:
        (folder / "stub_task.py").write_text(INSPECT.replace("DATA", repr(str(data))))
        found["inspect_ai"] = [
            "sh",
            "-c",
            f"cp {folder}/stub_task.py . && exec {inspect} eval stub_task.py --model openai/stub "
            f"--model-base-url http://{address}/v1 -M responses_api=false --max-connections 64 --max-tokens 16 --display none",
        ]
    lm_eval = program("lm_eval", "lm-eval")
    if lm_eval:
        (folder / "lm").mkdir()
        (folder / "lm" / "stub.yaml").write_text(LM_EVAL.replace("DATA", str(data)))
        found["lm-eval"] = [
            lm_eval,
            "--model",
            "local-chat-completions",
            "--model_args",
            f"model=stub,base_url=http://{address}/v1/chat/completions,num_concurrent=64,max_retries=3,tokenized_requests=False",
            "--tasks",
            "stub",
            "--include_path",
            str(folder / "lm"),
            "--apply_chat_template",
            "--log_samples",
            "--output_path",
            "out",
        ]
    promptfoo = program("promptfoo")
    if promptfoo:
        rows = [json.loads(line) for line in data.read_text().splitlines()]
        config = {
            "prompts": ["{{input}}"],
            "providers": [
                {
                    "id": "openai:chat:stub",
                    "config": {"apiBaseUrl": f"http://{address}/v1", "apiKey": "sk-stub", "max_tokens": 16},
                }
            ],
            "tests": [
                {"vars": {"input": r["input"]}, "assert": [{"type": "equals", "value": r["target"]}]}
                for r in rows
            ],
        }
        (folder / "promptfoo.json").write_text(json.dumps(config))
        found["promptfoo"] = [
            "env",
            "PROMPTFOO_DISABLE_TELEMETRY=1",
            "PROMPTFOO_DISABLE_UPDATE=1",
            "PROMPTFOO_CONFIG_DIR=.",
            promptfoo,
            "eval",
            "-c",
            str(folder / "promptfoo.json"),
            "-j",
            "64",
            "--no-progress-bar",
            "--no-table",
        ]
    for name in ("inspect_ai", "lm-eval", "promptfoo"):
        if name not in found:
            print(f"  peer not found, left out: {name}")
    return found
