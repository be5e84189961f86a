import logging

import pytest
import torch

from gen3d_tools.errors import OutOfMemoryError
from gen3d_tools.memory import in_chunks

CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate"


def test_slices_cover_the_range_once_and_in_order():
    covered = [index for piece in in_chunks(lambda s: list(range(10))[s], 10, 3) for index in piece]
    assert covered == list(range(10))
    assert in_chunks(lambda s: s, 0, 3) == []


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CPU_MESSAGE), MemoryError()]
)
def test_out_of_memory_halves_the_chunk_and_goes_on_with_one_warning(error, caplog):
    def work(rows):
        if rows.stop - rows.start > 3:
            raise error
        return list(range(100))[rows]

    with caplog.at_level(logging.WARNING):
        pieces = in_chunks(work, 100, 64)
    assert [index for piece in pieces for index in piece] == list(range(100))
    assert len(caplog.records) == 1
    assert "smaller chunks" in caplog.text


def test_one_that_does_not_fit_is_our_error():
    def work(rows):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemoryError, match="one of 5 rays at a time"):
        in_chunks(work, 5, 4, what="rays")


def test_other_errors_pass_through():
    def work(rows):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_chunks(work, 5, 4)
