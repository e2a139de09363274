"""Turns the method list of ``_calls`` into methods of a class, with their signatures and types."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable


def present_as_method(method: Callable[..., Any], build: Callable[..., Any]) -> None:
    """Gives a method the name, documentation and signature of the function that makes its call."""
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[self_parameter, *signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
