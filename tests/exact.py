"""Settings under which the arithmetic is the same on every machine, so that pictures may be compared bit for bit."""

EXACT = {"device": "cpu", "backend": "torch", "precision": "fp32"}
