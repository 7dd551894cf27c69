"""Fresh databases of both engines."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.postgres.cluster import Cluster

_names = count(1)


@pytest.fixture
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Give what makes an empty database, named by its engine, and gives its URL."""

    def fresh(engine: str) -> str:
        name = f"fresh_{next(_names)}"
        if engine == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        cluster: Cluster = request.getfixturevalue("postgres")
        return cluster.create_database(name)

    return fresh
