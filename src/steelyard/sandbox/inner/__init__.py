"""What runs in the launcher and inside the namespaces: standard library only, no import of ours.

`keeper` is the small server that makes, watches and ends sandboxes; `init` is process 1 of each of them.
Both are forks of one interpreter, so every module here is loaded once and must not allocate much.
"""
