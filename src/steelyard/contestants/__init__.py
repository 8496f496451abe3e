"""What is measured: endpoint, the user's application, recording, embedded model.

Does not grade.
"""
