"""Gitpod's newer SDK: Connect's binary messages, and whatever else its clients can be told to speak."""

from pathlib import Path

import pytest

from tests.sdk.conftest import Run
from tests.sdk.environments import environment


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("gitpod-1.2.0")


@pytest.mark.parametrize("way", ["binary", "binary-get", "binary-gzip", "json", "json-get", "grpc", "grpc-web"])
def test_an_organization_lives_its_whole_life(run: Run, python: Path, way: str) -> None:
    assert f"Went by {way}" in run(python, "gitpod_1_2_0.py", "life", way)


def test_every_refusal_has_its_own_exception(run: Run, python: Path) -> None:
    assert "unimplemented: errors: This service doesn't implement" in run(python, "gitpod_1_2_0.py", "errors")
