"""Grading by running: hidden tests over a rebuilt tree, and single answers against their tests.

Nothing here runs outside a sandbox. `steelyard.scorers.code.grade.grade` judges a changed tree,
`steelyard.scorers.code.answers` an answer's code. Residual risks are in docs/concepts/grading.md.
"""
