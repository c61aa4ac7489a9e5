"""Other ways to serve the same steps, as they are usually written. Only `bench_serve` runs them."""
