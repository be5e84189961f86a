"""What a published TripoSR folder says, as config and settings.

The published code makes classes of the names in its config; here they are compared with the only ones that are built.
Of the image encoder its config says no more than a name: the sizes are those of the tensors, and DINO's transformers
have heads of 64.
"""

import math
from collections.abc import Mapping
from typing import Any, get_args

from gen3d_tools.cameras.distributions.named import FixedCamera, UniformSphere
from gen3d_tools.checkpoints.published_folder import PublishedFolder
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.official.settings_tables import demand, number, refuse_others, text
from gen3d_tools.generators.reconstructor_configs import FeedForward, PlaneActivation, Reduction, TripoSRConfig
from gen3d_tools.generators.reconstructors.reconstruction import activated_level, ray_length
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.printable import quoted

LEVEL = 25.0
"""Density at the surface in the published script, per way through the box."""

DISTANCE, FOV_DEG, BOX_SHARE = 1.9, 40.0, 0.999
"""Of the published script's cameras and rays."""

_HEAD = 64
_CLASSES = {
    "image_tokenizer_cls": "tsr.models.tokenizers.image.DINOSingleImageTokenizer",
    "tokenizer_cls": "tsr.models.tokenizers.triplane.Triplane1DTokenizer",
    "backbone_cls": "tsr.models.transformer.transformer_1d.Transformer1D",
    "post_processor_cls": "tsr.models.network_utils.TriplaneUpsampleNetwork",
    "decoder_cls": "tsr.models.network_utils.NeRFMLP",
    "renderer_cls": "tsr.models.nerf_renderer.TriplaneNeRFRenderer",
}
_SECTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "image_tokenizer": ((), {"pretrained_model_name_or_path": "facebook/dino-vitb16"}),
    "tokenizer": (("plane_size", "num_channels"), {}),
    "backbone": (
        ("in_channels", "num_attention_heads", "attention_head_dim", "num_layers", "cross_attention_dim"),
        {
            "norm_num_groups": 32,
            "attention_bias": False,
            "activation_fn": "geglu",
            "norm_elementwise_affine": True,
            "dropout": 0.0,
            "gradient_checkpointing": False,
        },
    ),
    "post_processor": (("in_channels", "out_channels"), {}),
    "decoder": (
        ("in_channels", "n_neurons", "n_hidden_layers"),
        {"activation": "relu", "bias": True, "weight_init": None, "bias_init": None},
    ),
    "renderer": (
        ("radius", "density_activation"),
        {
            "feature_reduction": "concat",
            "density_bias": -1.0,
            "color_activation": "sigmoid",
            "num_samples_per_ray": 128,
            "randomized": False,
        },
    ),
}
"""What each section must say, and what it may, with the published defaults. `trunc_exp`, the published default of the
density's activation, is a name that nothing there answers to, so the key must be there."""


def from_folder(folder: PublishedFolder) -> tuple[TripoSRConfig, ModelSettings]:
    """Translate a published folder's config; its tensors are not read, their shapes are.

    Raises:
        CheckpointError: A setting is missing, unknown, or asks for something else than what is built here.
    """
    sections = read_sections(folder.config)
    image = image_config(folder.shapes())
    config, samples = config_of(sections, image)
    return config, settings_of(config, samples)


def read_sections(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Check the names in a config, and fill in its defaults.

    Returns:
        The sections, and under "" what stands beside them.
    """
    refuse_others(table, ("cond_image_size", *_CLASSES, *_SECTIONS), "config.yaml")
    demand(table, ("cond_image_size", *_CLASSES, *list(_SECTIONS)[1:]), "config.yaml")
    for key, wanted in _CLASSES.items():
        if table[key] != wanted:
            raise CheckpointError(f"{key} is {quoted(table[key])}, supported is {wanted}")
    sections: dict[str, dict[str, Any]] = {"": {"cond_image_size": table["cond_image_size"]}}
    for name, (needed, defaults) in _SECTIONS.items():
        section = table.get(name, {})
        refuse_others(section, (*needed, *defaults), name)
        demand(section, needed, name)
        sections[name] = {**defaults, **section}
    return sections


def image_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Take the image encoder's sizes from its tensors.

    Raises:
        CheckpointError: A tensor that tells one is missing or of a strange shape, or heads of 64 do not fit.
    """
    model = "image_tokenizer.model."
    patches = _shape(shapes, f"{model}embeddings.patch_embeddings.projection.weight", 4)
    table = _shape(shapes, f"{model}embeddings.position_embeddings", 3)
    hidden = _shape(shapes, f"{model}encoder.layer.0.intermediate.dense.weight", 2)
    trained = math.isqrt(max(table[1] - 1, 0))
    if trained**2 + 1 != table[1]:
        raise CheckpointError(f"position embeddings are {list(table)}, which is no square of patches and a class token")
    if patches[0] % _HEAD:
        raise CheckpointError(f"the image encoder is {patches[0]} wide, which heads of {_HEAD} do not divide")
    prefix = f"{model}encoder.layer."
    layers = {name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)}
    return {
        "patch_size": patches[2],
        "trained_patches": trained,
        "image_width": patches[0],
        "image_layers": len(layers),
        "image_heads": patches[0] // _HEAD,
        "image_hidden": hidden[0],
    }


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str, axes: int) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or len(shape) != axes:
        raise CheckpointError(f"{name} is missing or has other axes; the file is incomplete, or of another kind")
    return shape


def config_of(sections: Mapping[str, Mapping[str, Any]], image: Mapping[str, int]) -> tuple[TripoSRConfig, int]:
    """Translate sections as `read_sections` gives them.

    Args:
        sections: The config.
        image: Sizes of the image encoder, by their names in `TripoSRConfig`.

    Returns:
        What the network is, and the number of samples along a ray.

    Raises:
        CheckpointError: Two settings contradict each other, or one is not supported.
    """
    backbone, decoder, renderer = sections["backbone"], sections["decoder"], sections["renderer"]
    channels, features = sections["tokenizer"]["num_channels"], sections["post_processor"]["out_channels"]
    config = {
        **image,
        "image_resolution": sections[""]["cond_image_size"],
        "plane_resolution": 2 * _whole(sections["tokenizer"]["plane_size"], "tokenizer.plane_size"),
        "channels": channels,
        "heads": backbone["num_attention_heads"],
        "head_width": backbone["attention_head_dim"],
        "backbone_layers": backbone["num_layers"],
        "norm_groups": backbone["norm_num_groups"],
        "attention_bias": backbone["attention_bias"],
        "feed_forward": _one_of(backbone["activation_fn"], get_args(FeedForward), "backbone.activation_fn"),
        "plane_channels": features,
        "reduction": _one_of(renderer["feature_reduction"], get_args(Reduction), "renderer.feature_reduction"),
        "decoder_width": decoder["n_neurons"],
        "decoder_layers": decoder["n_hidden_layers"],
        "decoder_activation": _one_of(decoder["activation"], get_args(PlaneActivation), "decoder.activation"),
        "decoder_bias": decoder["bias"],
        "density_activation": _one_of(
            renderer["density_activation"], get_args(DensityActivation), "renderer.density_activation"
        ),
        "density_bias": number(renderer["density_bias"], "renderer.density_bias"),
        "box_side": 2 * number(renderer["radius"], "renderer.radius"),
    }
    made = TripoSRConfig.from_dict(config)
    for name, found, wanted in (
        ("backbone.in_channels", backbone["in_channels"], channels),
        ("post_processor.in_channels", sections["post_processor"]["in_channels"], channels),
        ("backbone.cross_attention_dim", backbone["cross_attention_dim"], made.image_width),
        ("decoder.in_channels", decoder["in_channels"], made.decoder_inputs),
        ("backbone.norm_elementwise_affine", backbone["norm_elementwise_affine"], True),
        ("renderer.color_activation", renderer["color_activation"], "sigmoid"),
    ):
        if found != wanted:
            raise CheckpointError(f"{name} is {quoted(found)}, with the other settings it must be {quoted(wanted)}")
    return made, _whole(renderer["num_samples_per_ray"], "renderer.num_samples_per_ray")


def _whole(value: Any, where: str) -> int:
    if type(value) is not int:
        raise CheckpointError(f"{where} is {quoted(value)}, it must be a whole number")
    return value


def _one_of(value: Any, choices: tuple[str, ...], where: str) -> str:
    """Take one of the supported names."""
    if value not in choices:
        raise CheckpointError(f"{where} is {quoted(value)}, supported is {' or '.join(choices)}")
    return text(value, where)


def settings_of(config: TripoSRConfig, samples: int) -> ModelSettings:
    """How the published script uses the network.

    Args:
        config: The network.
        samples: Along each ray.
    """
    ring = UniformSphere(radius=DISTANCE, fov_y_deg=FOV_DEG, pitch_min_deg=0.0, pitch_max_deg=0.0)
    return ModelSettings(
        render_config=RenderConfig(
            near="box",
            far="box",
            coarse_samples=samples,
            fine_samples=0,
            jitter="middles",
            marcher="classical",
            background="white",
            missed_rays="background",
            ray_length=ray_length(config),
            box_share=BOX_SHARE,
        ),
        camera_distribution=ring,
        default_view=FixedCamera(radius=DISTANCE, fov_y_deg=FOV_DEG),
        iso_level=activated_level(config, LEVEL),
        licence="MIT (code; of the published weights, by their card)",
    )
