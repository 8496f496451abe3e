"""The bench of the transport: `python -m bench.wire`."""
