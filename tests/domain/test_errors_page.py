"""docs/errors.md says what the catalog says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from server.domain.errors import CATALOG
from server.faces.errors import SPOKEN
from tests.faces.wire import GRPC_CODES
from tests.running import ROOT


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("errors_page", ROOT / "tools" / "errors_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0, "run: python tools/errors_page.py"


def test_the_page_has_every_reason_with_its_code_status_and_number(tool: ModuleType) -> None:
    sections = tool.page().split("\n## ")[1:]
    for reason in CATALOG.values():
        spoken = SPOKEN[reason.kind]
        (section,) = [section for section in sections if f"| `{reason.name}` |" in section]
        heading = section.splitlines()[0]
        assert heading.startswith(f"`{reason.kind.value}`: HTTP {spoken.status.value} ")
        assert heading.endswith(f"gRPC {GRPC_CODES[reason.kind.value]}")
        assert ("doesn't help" in section) is not spoken.repeats
        assert reason.sentence in section


def test_a_stale_or_missing_page_is_found(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool.PAGE = tmp_path / "docs" / "errors.md"
    assert tool.main(["--check"]) == 1
    assert "run: python tools/errors_page.py" in capsys.readouterr().err
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    tool.PAGE.write_text(tool.page().replace("NOT_YOURS", "NOBODYS"))
    assert tool.main(["--check"]) == 1
