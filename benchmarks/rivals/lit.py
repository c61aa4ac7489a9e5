"""LitServe, with its batching: ``python -m benchmarks.rivals.lit`` (``pip install litserve``).

Its workers decode requests one after the other; here they only read the bytes, and `predict` looks at the photographs
of a whole batch in the pool, so that no core waits. A batch waits 10 ms for company: with 0 an idle worker spins.
"""

# No annotations from the future: LitServe compares the type of `request` with Request itself.
from typing import Any

from facemix.serving.tuning import tune_allocator, wait_passively
from facemix.settings import load_settings

tune_allocator()
wait_passively()

import litserve  # noqa: E402  # after both, as in `facemix serve`
from fastapi import Request, Response  # noqa: E402

from benchmarks.pipeline import MEDIA_TYPE, Pipeline  # noqa: E402

BATCH = 16
WAIT_SECONDS = 0.01


class Mixing(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.pipeline = Pipeline(load_settings())

    def decode_request(self, request: Request) -> tuple[bytes, bytes]:
        return request["face_a"].file.read(), request["face_b"].file.read()  # type: ignore[index]  # a form, in truth

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, pairs: list[tuple[bytes, bytes]]) -> list[bytes]:
        return self.pipeline.mixes(pairs)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type=MEDIA_TYPE)


if __name__ == "__main__":
    server = litserve.LitServer(
        Mixing(max_batch_size=BATCH, batch_timeout=WAIT_SECONDS, api_path="/api/v1/mix"),
        accelerator="cpu" if load_settings().device == "cpu" else "auto",
        timeout=120,
    )
    server.run(port=load_settings().port, host="127.0.0.1", generate_client_file=False, log_level="warning")
