"""What runs inside the grader's sandboxes: the test driver, and the process that holds the code under test.

Shown there read-only at /grader and started as scripts, hence no import of ours.
"""
