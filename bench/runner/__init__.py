"""Runner overhead: CPU a sample against a zero-latency stub, beside a floor script and the peers that are installed."""
