"""Checking the shapes in signatures in a share of the calls: all of them would be a third of the suite's time."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

FIRST = 10
EVERY = 50
"""The first calls of each function are checked, then every so many of them, in each process anew."""


def checking_some_calls(decorate: Callable[..., Any]) -> Callable[..., Any]:
    """Give `jaxtyping.jaxtyped` for functions that are called often."""

    def jaxtyped(**options: Any) -> Callable[[Any], Any]:
        def some_calls(fn: Any) -> Any:
            checked, calls = decorate(**options)(fn), 0
            if inspect.isclass(fn):
                return checked

            @functools.wraps(fn)
            def called(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > FIRST and calls % EVERY:
                    return fn(*args, **kwargs)
                return checked(*args, **kwargs)

            return called

        return some_calls

    return jaxtyped
