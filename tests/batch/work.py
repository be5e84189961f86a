"""A command that makes trivial pieces. Also a program, for tests that end it."""

import sys
from functools import partial
from pathlib import Path

from tests.batch.trivial import begin


def make(
    out: Path | str,
    count: int,
    workers: int | None,
    *,
    diary: Path | None = None,
    ray=None,
    pause=0.0,
    broken=(),
    deadly=(),
    device="cpu",
    **options,
):
    """Make files 0 to `count` in a folder or at a URL, as a command would."""
    # Here, so that workers, which import a program's file, do not import torch.
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.batch.pieces import Piece
    from gen3d_tools.workflows.running.batches import make_pieces, manifest_paths, write_manifests
    from gen3d_tools.workflows.running.claims import claim
    from gen3d_tools.workflows.running.runs import Run, RunOptions

    settings = RunOptions(out=out, device=device, batch=BatchOptions(workers=workers, ray=ray), **options)
    folder = settings.target("work", "", urls=True)
    diary = folder.with_name(f"{folder.name}-diary") if diary is None else diary
    diary.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.txt" for number in range(count)]
    run = Run("work", "", {"pause": 0})
    manifests = manifest_paths(folder, settings)
    whole = claim(run, [*paths, *manifests], folder, settings)
    pieces = [Piece(name=f"piece {number}", task=(number, path), outputs=[path]) for number, path in enumerate(paths)]
    prepare = partial(begin, diary, pause, broken, deadly)
    with run.recording():
        write_manifests(manifests, pieces, run)
        for path in paths:
            if path in whole:
                run.add(path)
        wanted = [piece for piece in pieces if piece.outputs[0] not in whole]
        for piece, value in make_pieces(run, wanted, settings, prepare("here"), prepare):
            assert value == piece.task[0] ** 2
        run.sort(paths)
    return run.finish()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), pause=float(sys.argv[4]))
