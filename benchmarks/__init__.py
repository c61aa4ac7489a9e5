"""Programs that measure or draw; run as ``python -m benchmarks.NAME``."""
