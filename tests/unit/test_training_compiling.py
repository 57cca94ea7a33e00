"""Whether steps are compiled; that compiling itself works is PyTorch's matter."""

from __future__ import annotations

import pytest
from torch import nn

from precordial.models import create_model
from precordial.training import compiling
from precordial.training.compiling import compile_body


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[nn.Module, bool]]:
    """The modules that were to be compiled, and whether for any shape. To compile one takes many seconds."""
    calls: list[tuple[nn.Module, bool]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, *, dynamic: calls.append((self, dynamic)))
    return calls


@pytest.mark.parametrize("wanted", ["auto", False, True])
def test_a_body_is_compiled_where_that_is_wanted(
    wanted: compiling.Compile, asked: list[tuple[nn.Module, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "has_compiler", lambda: True)
    network, notes = create_model("cnn-20k", rate=100), []
    compile_body(network, wanted, notes.append)
    assert asked == ([(network.body, False)] if wanted is True else [])
    assert not notes


def test_without_a_compiler_it_is_said_and_steps_stay_as_they_are(
    asked: list[tuple[nn.Module, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    notes: list[str] = []
    compile_body(create_model("cnn-20k", rate=100), True, notes.append)
    assert not asked
    assert notes == ["training.compile: no C++ compiler is found here, so steps are not compiled"]
