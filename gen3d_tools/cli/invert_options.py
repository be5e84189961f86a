"""The options of `gen3d invert`."""

from pathlib import Path
from typing import Annotated

import typer

from gen3d_tools.cli.terminal.completion import complete_class, complete_model, complete_preset

Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO...", help="A photo, or several of one object.", show_default=False),
]
Each = Annotated[
    bool,
    typer.Option("--each", help="Every photo shows an object of its own: a result folder each, named after the photo."),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        autocompletion=complete_model,
        help="Bundled name, model folder, published .pkl or .pth, or Hugging Face id.",
    ),
]
ClassName = Annotated[
    str | None,
    typer.Option(
        "--class",
        "-c",
        autocompletion=complete_class,
        help="Class name or index. Default: estimated from the photo.",
    ),
]
Camera = Annotated[
    str | None,
    typer.Option(
        "--camera",
        help="Camera: yaw,pitch[,fov] in degrees, or a file (EG3D's 25 numbers, a transforms.json, ...). "
        "Default: estimated from the photo.",
    ),
]
Masks = Annotated[
    list[Path] | None,
    typer.Option("--mask", help="Mask: a picture that is white where the object is. Repeat for more photos."),
]
Views = Annotated[
    list[Path] | None,
    typer.Option("--views", hidden=True, help="A further photo of the object, as a further PHOTO is."),
]
Background = Annotated[
    str,
    typer.Option(
        "--background",
        help="How the object is separated from its background: auto, alpha, border, rembg, none, or the .onnx "
        "file of a network (ISNet, U2Net).",
    ),
]
ObjectNumber = Annotated[
    int | None,
    typer.Option("--object", help="Which of several objects in the photo: 1 = the largest. Default: the largest."),
]
Align = Annotated[
    bool, typer.Option("--align", help="Cut the face out first, as face models expect it; see gen3d align.")
]
Preset = Annotated[
    str,
    typer.Option("--preset", autocompletion=complete_preset, help="Time against quality: fast, balanced or best."),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", help="Number of steps of both stages together; fewer shorten the search too. Default: the preset's."
    ),
]
Space = Annotated[
    str | None,
    typer.Option("--space", help="Latent space: w+ fits closer, w stays more plausible. Default: the preset's."),
]
Tune = Annotated[
    str | None,
    typer.Option("--tune", help="Weights that stage two moves: all, decoder or late. Default: the preset's."),
]
Conditioning = Annotated[
    str | None,
    typer.Option(
        "--conditioning",
        help="Camera that latents are conditioned on, for models that are: front, or the photo's. Default: front.",
    ),
]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="Features of the perceptual loss: encoder, lpips-vgg, lpips-alex, none, or a TorchScript file.",
    ),
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Go on with a photo that shows nothing the model knows.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed.")]
Refine = Annotated[
    bool, typer.Option("--refine", help="With a model without latents (TripoSR): tune its planes to the photo.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of this command.")]
