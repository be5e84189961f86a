"""The last net below whoever reads a checkpoint: whatever reading ends in, it is a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager

from gen3d_tools.errors import CheckpointError, Gen3DError, InputError
from gen3d_tools.printable import printable

# What numbers, sizes and depths that no checkpoint has lead to. Readers check what they know of, one by one and with
# better words; this is for the rest.
_UNFIT = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)  # RecursionError is one


@contextmanager
def refusing(where: str, what: str = "it cannot be read") -> Iterator[None]:
    """Turn every failure of a block that reads a checkpoint into a refused checkpoint.

    Args:
        where: Names the file at the beginning of the message, also of refusals that do not name it.
        what: What could not be done with it.

    Raises:
        CheckpointError: The block refused the file or a value of it, or failed because of what is in it.
        Gen3DError: The block raised another kind of it, which stays as it is.
    """
    try:
        yield
    except CheckpointError as error:
        named = str(error).startswith(printable(where, len(where) + 1))
        raise error if named else CheckpointError(f"{where}: {error}") from error
    except InputError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except Gen3DError:
        raise
    except MemoryError as error:
        raise CheckpointError(f"{where}: {what} in the memory that is there; the file is damaged or hostile") from error
    except OSError as error:
        raise CheckpointError(f"{where}: it cannot be read ({error.strerror or type(error).__name__})") from error
    except _UNFIT as error:
        reason = printable(str(error)) or type(error).__name__
        raise CheckpointError(f"{where}: {what} ({reason}); the file is damaged or hostile") from error
