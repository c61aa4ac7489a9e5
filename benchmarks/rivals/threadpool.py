"""A plain endpoint in FastAPI's thread pool: no batches, no bound. ``python -m benchmarks.rivals.threadpool``.

The model computes in a thread of its own, one request at a time: two forward passes at once on the same cores are
slower than one after the other.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, File, Response

from facemix.settings import Settings, load_settings


def create_app(settings: Settings) -> FastAPI:
    from benchmarks.pipeline import MEDIA_TYPE, Pipeline

    app, model = FastAPI(), ThreadPoolExecutor(1)
    pipeline = Pipeline(settings)

    @app.post("/api/v1/mix")
    def mix(face_a: bytes = File(), face_b: bytes = File()) -> Response:
        crops = list(pipeline.pool.map(pipeline.look, (face_a, face_b)))
        z = pipeline.mix(model.submit(pipeline.encode, crops).result())
        (picture,) = model.submit(pipeline.decode, z[None]).result()
        return Response(pipeline.file(picture), media_type=MEDIA_TYPE)

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    return app


def main() -> None:
    import uvicorn

    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()  # as `facemix serve` does, before torch is imported
    wait_passively()
    settings = load_settings()
    uvicorn.run(create_app(settings), port=settings.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
