"""How kernels are compiled (numba), and the arithmetic that the compiler can turn into vector code.

The innermost loop of every kernel runs over hidden units or channels, contiguous in memory, without calls. So `exp`
and `log` are polynomials around the exponent bits of a float, accurate to about 5e-7.
"""

import gc
import inspect
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numba.core import event
from numba.core.dispatcher import Dispatcher
from numba.core.types import unliteral

from gen3d_tools.kernels.compiling.cache_folder import is_trusted
from gen3d_tools.kernels.compiling.disk_cache import MendingCache

logger = logging.getLogger(__name__)
f32 = np.float32
IN_ORDER = frozenset({"nnan", "ninf", "nsz", "arcp", "contract"})  # fast arithmetic, but sums as they are written


class _NoCollecting(event.Listener):
    """Keep Python from looking for garbage while numba compiles: among all that torch made, that takes a sixth longer.

    Compiling goes on inside of compiling, and is done by one thread at a time.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.was_collecting = False

    def on_start(self, event: event.Event) -> None:
        """Begin to compile a function."""
        if self.depth == 0:
            self.was_collecting = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: event.Event) -> None:
        """Have a function compiled, or fail to."""
        self.depth -= 1
        if self.depth == 0 and self.was_collecting:
            gc.enable()


event.register("numba:compile", _NoCollecting())  # type: ignore[no-untyped-call]


def compiled(
    *, fastmath: bool | frozenset[str] = True, **options: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function without bounds checks; keep the result on disk where a folder for it can be written.

    Args:
        fastmath: Arithmetic without infinities, in any order; or the liberties that are taken, as LLVM names them.
        options: Further ones of numba's: `forceinline`, for functions that many arrays are passed to.
            Those cannot make arrays or be called from Python, and do not count references to arrays they are given:
            per point, that takes as long as the arithmetic. `no_cpython_wrapper`, for functions that kernels alone
            call: a wrapper takes as long to compile as many a function.
    """
    options["no_cfunc_wrapper"] = True  # wrappers take as long to compile as many a function
    if options.get("forceinline"):
        options |= {"_nrt": False, "no_cpython_wrapper": True}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = inspect.unwrap(function)  # the checks of shapes in our tests wrap every function
        compile_it = partial(
            njit,
            fastmath=fastmath if isinstance(fastmath, bool) else set(fastmath),
            boundscheck=False,
            nogil=True,
            error_model="numpy",
            **options,
        )
        try:
            kernel: Any = compile_it(cache=True)(function)
            if isinstance(kernel, Dispatcher):  # NUMBA_DISABLE_JIT gives the function itself
                _compile_for_any_value(kernel)
                if is_trusted(Path(str(kernel.stats.cache_path)), Path(inspect.getfile(function))):
                    kernel._cache = MendingCache(function)  # type: ignore[attr-defined, no-untyped-call]
                else:
                    kernel = compile_it()(function)
        except RuntimeError:  # numba found no folder that it may write
            logger.debug("No folder for compiled kernels can be written; %s is compiled again.", function.__name__)
            kernel = compile_it()(function)
        made: Callable[..., Any] = kernel
        return made

    return decorate


def _compile_for_any_value(kernel: Any) -> None:
    """Have one function for all values of a whole number, instead of another for every constant that it is called with.

    A count that starts at 0 is such a constant as long as numba has not seen what is added to it.
    """
    of_constants: Any = kernel.get_call_template
    without: Any = unliteral
    kernel.get_call_template = lambda args, kws: of_constants(
        tuple(map(without, args)), {name: without(one) for name, one in kws.items()}
    )


@compiled()
def fast_log(u):  # type: ignore[no-untyped-def]
    """Natural logarithm of a positive float32."""
    bits = f32(u).view(np.int32)
    exponent = f32((bits >> np.int32(23)) - np.int32(127))
    f = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32) * f32(0.70710678) - f32(1)
    p = (f32(0.119864072) * f - f32(0.187617268)) * f + f32(0.20492571)
    p = ((p * f - f32(0.24897765)) * f + f32(0.333155445)) * f - f32(0.500014859)
    return f + f * f * p + (exponent + f32(0.5)) * f32(0.69314718)


@compiled(forceinline=True)
def _two_to(whole, rest):  # type: ignore[no-untyped-def]
    """Two to the power of a whole number and a rest within -0.5 .. 0.5: within 3e-7 of its value, and 1 at 0.

    Sums of pairs (Estrin) keep the processor busier than one long chain.
    """
    square = rest * rest
    p = (f32(1) + f32(0.6931466) * rest) + (f32(0.24022166) + f32(0.05551047) * rest) * square
    p += (f32(0.00967495) + f32(0.0013203) * rest) * (square * square)
    return p * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled()
def fast_exp_below_0(u):  # type: ignore[no-untyped-def]
    """Exponential of a float32 that is not positive; below -80 it stays at exp(-80)."""
    scaled = max(f32(u), f32(-80)) * f32(1.44269504)
    whole = np.int32(scaled - f32(0.5))  # rounds towards 0: the rest is within -0.5 .. 0.5
    return _two_to(whole, scaled - f32(whole))


@compiled()
def fast_exp(u):  # type: ignore[no-untyped-def]
    """Exponential of a float32, which stays at those of -80 and 60 beyond them."""
    scaled = min(max(f32(u), f32(-80)), f32(60)) * f32(1.44269504)
    whole = np.int32(scaled + f32(128.5)) - np.int32(128)  # rounds down what is positive: to the nearest
    return _two_to(whole, scaled - f32(whole))


@compiled(forceinline=True)
def log_of_1_and(y):  # type: ignore[no-untyped-def]
    """`log(1 + y)` of a float32 in 0 .. 1, within 4e-7 of its value."""
    square = y * y
    low = (f32(0.99999978) - f32(0.49997175) * y) + (f32(0.33271928) - f32(0.24474774) * y) * square
    high = (f32(0.17687477) - f32(0.10685003) * y) + (f32(0.0434939) - f32(0.00837115) * y) * square
    return y * (low + high * (square * square))


@compiled()
def softplus(u):  # type: ignore[no-untyped-def]
    """`log(1 + exp(u))` for any u."""
    return max(u, f32(0)) + log_of_1_and(fast_exp_below_0(-abs(u)))


@compiled()
def silu(u):  # type: ignore[no-untyped-def]
    """`u / (1 + exp(-u))` for any u."""
    return u / (f32(1) + fast_exp(-u))


@compiled()
def leaky_relu(u):  # type: ignore[no-untyped-def]
    """`max(u, 0.2 u)`."""
    return f32(0.6) * u + f32(0.4) * abs(u)
