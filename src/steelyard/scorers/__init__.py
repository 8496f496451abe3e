"""Judging logic: match, numeric, choice, schema, tool calls, custom code, judges.

Does not decide.
"""
