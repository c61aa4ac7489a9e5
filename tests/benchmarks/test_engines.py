from benchmarks import engines


def test_engines_say_why_they_are_absent():
    found = engines.engines("/bin/false")
    assert [engine.name for engine in found[:3]] == ["facemix", "thread pool", "LitServe"]
    assert "litserve is not installed" in found[2].absent
    assert found[0].absent is None
    assert engines._absent("/bin/true", "anything") is None
