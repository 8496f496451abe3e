"""Plan in, trials out: schedule, budget, retry, resume, repeat until the interval is narrow enough.

Does not estimate: the stopping rule is a pure function of `decide`.
"""
