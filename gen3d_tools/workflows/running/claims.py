"""What is checked of a run's outputs before any work: the same in a dry run, in a run, and in one that is resumed."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gen3d_tools.errors import InputError
from gen3d_tools.files import check_all_writable, check_writable, listed
from gen3d_tools.generators.source import config_digest, find_source
from gen3d_tools.records import Proof, Record, first_record, read_record, records_in, under_way
from gen3d_tools.workflows.running.inputs import check_not_read
from gen3d_tools.workflows.running.runs import Run, RunOptions

_CHOICE = ("seeds", "classes")
"""Options that choose samples, and change none of them."""
_DIGEST = "_sha256"
"""End of an option that says what was in the file which another names."""


def claim(
    run: Run,
    paths: Sequence[Path],
    target: Path,
    options: RunOptions,
    *,
    apart: bool = True,
    notes: Sequence[Path] = (),
    reads: Sequence[str | Path] = (),
    made_of: Mapping[Path, Any] | None = None,
) -> set[Path]:
    """Check that a run may write its outputs, and find those that need not be made again.

    Args:
        run: Its options are complete: they say what the outputs are.
        paths: Every file or folder that it will write.
        target: The folder that all of them are in, or the one file that is named; others are beside it.
        options: Whether existing outputs are replaced, or kept where they are whole.
        apart: Each output depends on its own sample alone, whatever others are chosen.
        notes: Files of ours that a run that is not finished has kept for itself.
        reads: Files and folders that it reads besides the model.
        made_of: Which samples an output shows, as plain JSON values, where its name might be another sample's too.

    Returns:
        The outputs that a record of the same work proves whole; empty unless the run is to be resumed.

    Raises:
        InputError: Something is in the way, or was made by other work.
        Gen3DError: A place does not accept files.
    """
    run.place_record(target, folder=target not in paths)
    run.made_of = {run.name(path): samples for path, samples in (made_of or {}).items()}
    if run.model:  # its default camera and its classes decide as much as its numbers
        run.options["model_config_sha256"] = config_digest(find_source(run.model), options.base)
    run.store = options.store
    if run.store is not None:
        run.store.open()
    run.resumable = len(paths) > 1
    check_names(paths)
    if run.store is None:
        check_not_read(paths, [*reads, *([] if options.base is None else [options.base])], run.model)
    _check_alone(run, paths)
    check_record_free(run)
    exists = os.path.lexists if run.store is None else run.store.exists
    existing = [path for path in paths if exists(path)]
    if options.resume:
        whole = _find_whole(run, existing, apart=apart, overwrite=options.overwrite)
    else:
        whole = {}
        if existing and not options.overwrite and (len(paths) > 1 or run.store is not None):
            _refuse(run, existing, paths, apart=apart)
    if options.replaces:
        check_ours(run, [path for path in existing if path != target and path not in whole])
    if run.store is None:
        check_ours(run, [note for note in notes if exists(note)])
    check_all_writable([path for path in paths if path not in whole], overwrite=options.replaces)
    if options.resume:
        whole |= _find_whole(run, [note for note in notes if exists(note)], apart=apart, overwrite=True)
    for proofs in whole.values():
        run.files |= proofs
    return set(whole)


def claim_addition(run: Run, files: Sequence[Path], target: Path) -> None:
    """Check that a run may add to the first of its files, and write the others: they stay if they are not ours.

    Args:
        run: What will write.
        files: The file that is added to, then what lies beside it.
        target: The folder that they are in, or the file.

    Raises:
        InputError: Something is in the way.
        Gen3DError: The place does not accept files.
    """
    run.place_record(target, folder=target not in files)
    check_not_read(files[1:], [], run.model)
    check_record_free(run)
    check_ours(run, [path for path in files[1:] if os.path.lexists(path)])
    check_all_writable(files, overwrite=True, kind="file")


def claim_folder(target: Path, *, overwrite: bool, reads: Sequence[str | Path] = (), model: str = "") -> None:
    """Check that a run may write a folder that is one output.

    Args:
        target: The folder.
        overwrite: Whether an earlier output is replaced.
        reads: Files and folders that the run reads.
        model: The model that it reads.

    Raises:
        InputError: Something is in the way.
        Gen3DError: The place does not accept files.
    """
    if overwrite:
        check_not_read([target], reads, model)
    check_writable(target, overwrite=overwrite, kind="folder")


def check_record_free(run: Run) -> None:
    """Refuse to write where another program has a file by the name of our record.

    Raises:
        InputError: There is one.
    """
    path = first_record(run.folder, run.stem)
    if os.path.lexists(path) and read_record(path) is None:
        raise InputError(f"{path} is in the way of the record, and not ours; give another name with -o, or move it")


def check_ours(run: Run, existing: Sequence[Path]) -> None:
    """Refuse to replace files that nobody has named and no run has made; folders are looked into on their own.

    Raises:
        InputError: There are such files.
    """
    records = records_in(run.folder)
    made = {name for record in records for name in {*record.files, *record.begun}}
    strange = [
        path for path in existing if not _children(run, path) and not path.is_dir() and run.name(path) not in made
    ]
    if strange:
        raise InputError(
            f"{run.place} holds what no recorded run has made ({listed([path.name for path in strange])}), so it "
            "stays, also with --overwrite; move it, or give another name with -o"
        )


def check_names(paths: Sequence[Path]) -> None:
    """Refuse outputs of one name.

    Raises:
        InputError: Two samples would go into one file.
    """
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            raise InputError(
                f"two of the samples would both be written to {path}; choose them in commands of their own"
            )
        seen.add(path)


def _check_alone(run: Run, paths: Sequence[Path]) -> None:
    """Refuse outputs that another run is making at this moment.

    Raises:
        InputError: There is one.
    """
    busy = under_way(run.folder) if run.store is None else set()
    if ours := [path.name for path in paths if run.name(path) in busy]:
        raise InputError(
            f"another run is writing {listed(ours)} in {run.place} now; wait until it ends, or give another name "
            "with -o"
        )


def _refuse(run: Run, existing: Sequence[Path], paths: Sequence[Path], *, apart: bool) -> None:
    """Say how many outputs exist, and what can be done.

    Raises:
        InputError: Always.
    """
    resumable = any(_same_work(run, record, apart=apart) for record in records_in(run.folder))
    rest = "--resume makes the rest, " if resumable and len(existing) < len(paths) else ""
    if len(existing) == 1:
        found = f"{run.shown(existing[0])} exists already, 1 of {len(paths)} outputs"
    else:
        names = listed([path.name for path in existing])
        found = f"{len(existing)} of {len(paths)} outputs exist already in {run.place} ({names})"
    raise InputError(f"{found}: {rest}--overwrite makes all again, another name with -o keeps what is there")


def _find_whole(run: Run, existing: Sequence[Path], *, apart: bool, overwrite: bool) -> dict[Path, dict[str, Proof]]:
    """Find the outputs that a record of the same work proves, with their proofs.

    Raises:
        InputError: One of them is of other work, or of none that is known, and may not be replaced.
    """
    found = records_in(run.folder)
    same = [record for record in found if _same_work(run, record, apart=apart)]
    whole = {}
    for path in existing:
        name = run.name(path)
        for record in same:
            if not _shows_others(run, record, name) and (proofs := _proofs(run, record, path, name)):
                whole[path] = proofs
    begun = {name for record in same for name in record.begun}
    strange = [path for path in existing if path not in whole and run.name(path) not in begun]
    if strange and not overwrite:
        _refuse_strange(run, strange, found, same, apart=apart)
    return whole


def _refuse_strange(
    run: Run, strange: Sequence[Path], found: Sequence[Record], same: Sequence[Record], *, apart: bool
) -> None:
    """Say why existing outputs cannot be taken for the run's own.

    Raises:
        InputError: Always.
    """
    names = listed([path.name for path in strange])
    if not same and found:
        changed = sorted({key for record in found for key in _differences(run, record, apart=apart)})
        raise InputError(
            f"{names} in {run.place} were made with different {' and '.join(changed)}; repeat that command, or give "
            "another name with -o"
        )
    if others := [path.name for path in strange for record in same if _shows_others(run, record, run.name(path))]:
        raise InputError(
            f"{listed(others)} in {run.place} are of other samples, whose files have the same names; give another "
            "name with -o"
        )
    raise InputError(
        f"{names} in {run.place} cannot be resumed: no record proves that this command made them as they are; "
        "--resume with --overwrite makes them again, and keeps what is whole"
    )


def _children(run: Run, path: Path) -> list[str]:
    """Name every file in a folder, as the record does; none if it is a file."""
    if run.store is not None:
        return run.store.children(path)
    found = path.rglob("*") if path.is_dir() else ()
    return [run.name(one) for one in found if not one.is_dir()]


def _proofs(run: Run, record: Record, path: Path, name: str) -> dict[str, Proof]:
    """Give the proofs of a file, or of all files in a folder; empty where one is missing or does not fit."""
    children = _children(run, path)
    if children or path.is_dir():
        recorded = [one for one in record.files if one.startswith(f"{name}/")]
        if sorted(children) != sorted(recorded):
            return {}
    else:
        recorded = [name]
    proofs = {one: proof for one in recorded if (proof := record.files.get(one)) is not None}

    def fits(one: str, proof: Proof) -> bool:
        return proof.fits(record.folder / one) if run.store is None else run.store.fits(one, proof)

    whole = len(proofs) == len(recorded) and all(fits(one, proof) for one, proof in proofs.items())
    return proofs if whole else {}


def _shows_others(run: Run, record: Record, name: str) -> bool:
    """Whether a record says that an output is of other samples; one of a version that did not say so never does."""
    samples = record.content.get("samples")
    told = samples.get(name) if isinstance(samples, dict) else None
    return told is not None and name in run.made_of and told != json.loads(json.dumps(run.made_of[name]))


def _same_work(run: Run, record: Record, *, apart: bool) -> bool:
    return not _differences(run, record, apart=apart)


def _differences(run: Run, record: Record, *, apart: bool) -> list[str]:
    """Name in what the work of a record differs from that of a run."""
    mine: dict[str, Any] = json.loads(json.dumps(run.options))
    options = record.content.get("options")
    theirs = options if isinstance(options, dict) else {}
    keys = {*mine, *theirs} - set(_CHOICE if apart else ())
    keys -= {key for key in mine if key.endswith(_DIGEST) and key not in theirs}  # of a version that did not keep it
    changed = [_spoken(key) for key in sorted(keys) if mine.get(key) != theirs.get(key)]
    if record.content.get("command") != run.command:
        return ["command"]
    return (["model"] if record.content.get("model_sha256") != run.model_sha256 else []) + changed


def _spoken(key: str) -> str:
    """Name an option for people: `path file` is what is in the file that `path` names."""
    return f"{key.removesuffix(_DIGEST).replace('_', ' ')} file" if key.endswith(_DIGEST) else key
