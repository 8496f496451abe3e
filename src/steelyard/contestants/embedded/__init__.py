"""Real small language models that run with NumPy alone.

Does not train (see `tools/train_models.py`), and holds no suite.
"""
