"""Checking the shapes in signatures in a share of the calls: all of them would be a fifth of the suite's time."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

FIRST = 10
EVERY = 50
"""In each test the first calls of each function are checked, then every so many of them."""

_tests_begun = [0]


def begin_test() -> None:
    """Count calls anew: what a test calls is checked, whatever others have called before it."""
    _tests_begun[0] += 1


def checking_some_calls(decorate: Callable[..., Any]) -> Callable[..., Any]:
    """Give `jaxtyping.jaxtyped` for functions that are called often."""

    def jaxtyped(**options: Any) -> Callable[[Any], Any]:
        def some_calls(fn: Any) -> Any:
            checked, calls, test = decorate(**options)(fn), 0, -1
            if inspect.isclass(fn):
                return checked

            @functools.wraps(fn)
            def called(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls, test
                if test != _tests_begun[0]:
                    calls, test = 0, _tests_begun[0]
                calls += 1
                if calls > FIRST and calls % EVERY:
                    return fn(*args, **kwargs)
                return checked(*args, **kwargs)

            return called

        return some_calls

    return jaxtyped
