"""An application as a contestant: any function that takes the question and returns the answer.

It may also ask for `messages`, `task_id`, `trial` or `seed`, be `async`, and return a mapping with `text` and any of
`input_tokens`, `output_tokens` and `cost` in dollars.
"""

KNOWN = {"norbunk": "Amber", "stoumou": "grey", "droubib": "peach", "gaimn": "goose"}


def answer(question: str) -> dict[str, object]:
    """Looks the country up; admits when it does not know."""
    words = question.rstrip("?.").lower().split()
    found = [KNOWN[w] for w in words if w in KNOWN]
    return {"text": found[0] if found else "I don't know.", "cost": 0.0002, "output_tokens": 1}
