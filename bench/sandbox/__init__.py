"""What a sandbox costs, beside other ways to isolate."""
