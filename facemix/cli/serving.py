"""Commands that serve, and that examine the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from facemix.errors import InstallationError, RequestInvalid
from facemix.settings import Settings, load_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind to; default FACEMIX_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default FACEMIX_PORT or 8000.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for replicas on several devices or machines.")] = "local",
    replicas: Annotated[
        int | None, typer.Option(min=1, max=256, help="With ray: how many; default FACEMIX_REPLICAS or 1.")
    ] = None,
) -> None:
    """Serve the page and the endpoint."""
    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()  # both before torch is imported: what is there by then stays as it is
    wait_passively()
    from facemix.web.logs import configure_logging

    if engine not in ("local", "ray"):
        raise RequestInvalid(f"the engine is {engine!r}", hint="it is local or ray", where="--engine")
    settings = load_settings()
    changes = {"host": host, "port": port, "replicas": replicas}
    settings = Settings(**{**settings.model_dump(), **{name: value for name, value in changes.items() if value}})
    configure_logging(settings.log_level, settings.log_format)
    if engine == "ray":
        from facemix.web.ray_engine import serve_with_ray

        raise typer.Exit(serve_with_ray(settings))
    from facemix.web.run import serve_here

    raise typer.Exit(serve_here(settings))


def doctor() -> None:
    """Check the installation and say how to mend it."""
    from facemix.serving.doctor import examine

    failed = 0
    for finding in examine(load_settings()):
        print(f"{finding.verdict:4}  {finding.check}: {finding.message}")
        if finding.hint:
            print(f"      -> {finding.hint}")
        failed += finding.verdict == "fail"
    if failed:
        raise InstallationError(f"{failed} check(s) failed", hint="see the arrows above")
