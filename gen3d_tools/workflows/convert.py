"""`gen3d convert`: a published pickle becomes a native model folder, checked before it is called done."""

import shlex
from dataclasses import replace
from pathlib import Path

import torch

from gen3d_tools.checkpoints.native import TENSORS_NAME
from gen3d_tools.checkpoints.published_folder import is_published_folder
from gen3d_tools.checkpoints.source import open_source
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official.load import generator_from_folder, generator_from_pickle
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.source import resolve_model
from gen3d_tools.printable import printable, quoted
from gen3d_tools.texts import decoded, parse_json
from gen3d_tools.workflows.running.claims import claim_folder
from gen3d_tools.workflows.running.places import output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

_MAX_NAMES_BYTES = 2**20
_CHECK_SEED = 0


def convert(
    source: Path,
    *,
    out: str | Path,
    class_names: Path | None = None,
    allow_unknown: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Convert a published checkpoint. Nothing in it is run.

    Args:
        source: The pickle, the archive, the published folder, or the repository id of one.
        out: Folder to make; its name is the model's name.
        class_names: File with one name per line, or a JSON list, in the order of the classes.
        allow_unknown: Read the pickle although it refers to things no published checkpoint has.
        overwrite: Replace an existing model folder.
        reporter: Takes messages.

    Raises:
        NotFoundError: The pickle or the file of names is not there.
        InputError: `out` exists, or the names do not fit the model.
        CheckpointError: The pickle is refused or broken.
    """
    reporter = reporter or Reporter()
    source = source if source.exists() or source.suffix else resolve_model(source)  # a repository id, maybe
    if source.is_dir() and not is_published_folder(source):
        raise InputError(
            f"{source} is a folder of ours or of none; convert reads a .pkl, a .pth, or a folder of config.yaml and "
            "model.ckpt, and model folders need no conversion"
        )
    target = output_path(out)
    assert target is not None
    claim_folder(target, overwrite=overwrite, reads=[source, *([] if class_names is None else [class_names])])
    names = None if class_names is None else read_class_names(class_names)
    options = {"source": str(source), "allow_unknown": allow_unknown}
    run = Run("convert", str(target), options, reporter=reporter)
    if source.is_dir():
        generator = generator_from_folder(source)
    else:
        generator = generator_from_pickle(source, allow_unknown=allow_unknown)
    generator.eval().requires_grad_(False)
    if names is not None:
        _rename_classes(generator, names)
    reporter.say(f"read {source.name}: {generator.family}, {generator.num_parameters():,} parameters")
    run.details |= {"provenance": dict(generator.settings.provenance), "licence": generator.settings.licence}
    with atomic_path(target, overwrite=overwrite) as temporary:
        generator.save(temporary, card=model_card(target.name, generator))
        _verify(generator, temporary)
        run.note(target)
        run.model_sha256 = open_source(temporary, str(target)).digest()
        run.write_inside(temporary)
    line = f"{generator.family}, {generator.num_parameters():,} parameters, reloaded and compared"
    reporter.made(target, line)
    reporter.say(f"licence: {generator.settings.licence or 'not stated'}")
    return run.finish(next_command=_next_command(generator, shlex.quote(str(target))))


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read names from a text file (one per line) or a JSON list.

    Raises:
        NotFoundError: No such file.
        InputError: It holds no list of names.
    """
    if not path.is_file():
        raise NotFoundError(f"no file {path}; --class-names takes a text file with one name per line, or a JSON list")
    if path.stat().st_size > _MAX_NAMES_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; a list of class names is far smaller")
    try:
        data = path.read_bytes()
        names = parse_json(data) if path.suffix.lower() == ".json" else decoded(data).splitlines()
    except ValueError as error:
        raise InputError(f"{path} is neither text with one name per line nor a JSON list ({error})") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} must hold a list of names")
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise InputError(f"{path} holds no names")
    return tuple(names)


def _rename_classes(generator: Generator, names: tuple[str, ...]) -> None:
    classes = len(generator.class_names)
    if len(names) != classes:
        raise InputError(f"got {len(names)} class names, the model has {classes} classes; give one name per class")
    generator.settings = replace(generator.settings, class_names=names)


def _verify(generator: Generator, folder: Path) -> None:
    """Load what was written and compare: every tensor, and the latent and planes of one seed.

    Raises:
        CheckpointError: Something differs.
    """
    reloaded = load_generator(folder, device="cpu")
    expected, found = generator.state_dict(), reloaded.state_dict()
    if list(expected) != list(found) or not all(torch.equal(expected[name], found[name]) for name in expected):
        raise CheckpointError(f"the written {TENSORS_NAME} does not hold what was read; is the disk healthy?")
    if isinstance(generator, LatentFree):
        if reloaded.settings != generator.settings or reloaded.config != generator.config:
            raise CheckpointError("the converted model has other settings; report this")
        return
    latents = [model.latents([_CHECK_SEED]) for model in (generator, reloaded)]
    if not torch.equal(*latents) or reloaded.settings != generator.settings or reloaded.config != generator.config:
        raise CheckpointError("the converted model does not give the same latent, or has other settings; report this")
    if not torch.isfinite(latents[0]).all():
        raise CheckpointError("the model gives latents that are not finite; its weights are unusable")


def _next_command(generator: Generator, name: str) -> str:
    """What to type next."""
    if isinstance(generator, LatentFree):
        return f"gen3d invert PHOTO.png --model {name} -o result"
    return f"gen3d sample {name} --seeds 0-3 --grid"


def _cell(value: object) -> str:
    """Write a fact from a file into a table of a model card, where it can be nothing but text."""
    text = printable(value) if isinstance(value, str) else quoted(value)
    return text.replace("|", "/").replace("`", "'").replace("<", "(").replace(">", ")")


def model_card(name: str, generator: Generator) -> str:
    """Write the model card of a converted model."""
    settings = generator.settings
    provenance = "\n".join(f"| {_cell(key)} | `{_cell(value)}` |" for key, value in settings.provenance.items())
    classes = f"{len(settings.class_names)}" if settings.class_names else "none (unconditional)"
    return f"""# {name}

A {generator.family} model, converted from a published checkpoint. The tensors are unchanged.

| | |
| --- | --- |
| family | {generator.family} |
| parameters | {generator.num_parameters():,} |
| classes | {classes} |
| suggested iso-level | {settings.iso_level:g} |
| licence | {_cell(settings.licence or "not stated")} |
{provenance}

The licence is that of the original weights; converting them does not change it.

    {_next_command(generator, name)}
    gen3d mesh {"result" if isinstance(generator, LatentFree) else f"{name} --seeds 0"}
"""
