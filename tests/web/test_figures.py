import pytest

from facemix.web.figures import FIGURES, Figures


def looked(figures: Figures) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name of the series and its labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for metric in figures.look():
        for sample in metric.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_what_is_watched_is_read_at_every_look():
    figures, depth = Figures(), [3]
    figures.watch(queue_frames=lambda: depth[0], ledger_lost_rows=lambda: 7)
    assert looked(figures)["facemix_queue_frames"] == {(): 3}
    depth[0] = 5
    assert looked(figures)["facemix_queue_frames"] == {(): 5}
    assert looked(figures)["facemix_ledger_lost_rows_total"] == {(): 7}


def test_the_last_to_be_named_counts():
    figures = Figures()
    figures.watch(queue_frames=lambda: 1, caches={"photos": lambda: 10})
    figures.watch(queue_frames=lambda: 2, caches={"latents": lambda: 20})
    found = looked(figures)
    assert found["facemix_queue_frames"] == {(): 2}
    assert found["facemix_cache_bytes"] == {("photos",): 10, ("latents",): 20}


def test_what_is_not_there_is_left_out(caplog):
    def broken():
        raise OSError("no such thing")

    figures = Figures()
    figures.watch(
        inference_heartbeat_age_seconds=lambda: None,
        connections=broken,
        queue_frames=lambda: 4,
        model=broken,
        caches={"photos": broken, "latents": lambda: 1},
    )
    found = looked(figures)
    assert "facemix_inference_heartbeat_age_seconds" not in found
    assert "facemix_connections" not in found
    assert found["facemix_queue_frames"] == {(): 4}
    assert found["facemix_cache_bytes"] == {("latents",): 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


def test_an_unknown_figure_is_a_mistake():
    with pytest.raises(TypeError, match="queue_lenght"):
        Figures().watch(queue_lenght=lambda: 1)


def test_all_figures_have_a_series_of_their_name():
    figures = Figures()
    figures.watch(**{name: lambda: 1 for name in FIGURES})
    names = {name.removesuffix("_total") for name in looked(figures)}
    assert {f"facemix_{name}" for name in FIGURES} <= names


def test_the_model_that_is_served_and_the_few_before_it():
    figures, serving = Figures(), [0]
    figures.watch(model=lambda: {"model": f"m@{serving[0]}", "backend": "torch bf16"} if serving[0] else None)
    assert "facemix_model_info" not in looked(figures)
    for number in range(1, 10):
        serving[0] = number
        looked(figures)
    found = looked(figures)["facemix_model_info"]
    assert found == {(f"m@{number}", "torch bf16", ""): float(number == 9) for number in (6, 7, 8, 9)}
    serving[0] = 7  # rolled back
    assert [labels[0] for labels, value in looked(figures)["facemix_model_info"].items() if value] == ["m@7"]
    serving[0] = 0
    assert set(looked(figures)["facemix_model_info"].values()) == {0}
