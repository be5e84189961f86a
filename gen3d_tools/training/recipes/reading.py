"""What a family has no use for. Setting it would change nothing, or nothing for the better, without a word."""

from fnmatch import fnmatchcase

from gen3d_tools.errors import InputError

_SEVERAL_VIEWS = ("discriminator.views", "discriminator.view_mode")
_LEARNED_CAMERAS = (
    "cameras.emd_*",
    "cameras.prior_share",
    "cameras.force_mean*",
    "cameras.slope_*",
    "cameras.identity_steps",
    "cameras.depth_kimg",
)
_DENSITY_LOSS = ("losses.density_weight", "losses.density", "losses.density_every", "losses.density_distance")
_GROWTH = ("losses.render_start", "losses.render_kimg")
_OF_PATCHES = (
    "patches.*",
    "losses.logit_limit",
    "losses.style_mixing",
    "losses.density_noise*",
    "losses.sparsity_weight",
    "losses.distillation*",
    "discriminator.modulation",
    "discriminator.table_width",
    "discriminator.frequencies",
    "discriminator.label_has_patch",
    "discriminator.camera_raw",
    "discriminator.camera_dropout",
    "discriminator.camera_noise",
    "data.depth",
    "data.features",
    "data.mirror_yaw",
)
_UNREAD = {
    "epigraf": (*_SEVERAL_VIEWS, *_LEARNED_CAMERAS, *_DENSITY_LOSS, *_GROWTH, "data.depth"),
    "threedgp": (*_SEVERAL_VIEWS, *_DENSITY_LOSS, *_GROWTH, "cameras.swap_*"),
    "eg3d": (*_SEVERAL_VIEWS, *_LEARNED_CAMERAS, *_OF_PATCHES),
    "geometry_aware": (*_OF_PATCHES, *_GROWTH, "cameras.*", "discriminator.camera_conditioned"),
}
_SETTLED = {
    "discriminator.kind": "belongs to the recipe {}; take another recipe instead",
    "generator.num_classes": "is what dataset.json says; leave it out of what is set for {}",
}
_SETTLED_FOR_EG3D = {"data.classes": "is false in {}, whose generator knows no classes; take another recipe for them"}


def is_read(name: str, family: str) -> bool:
    """Whether a value, such as "losses.style_mixing", counts in a family."""
    return not any(fnmatchcase(name, pattern) for pattern in _UNREAD[family])


def check_read(name: str, *, recipe: str, family: str) -> None:
    """Refuse a change that nothing would come of.

    Args:
        name: Name of the value.
        recipe: Name of the recipe.
        family: Family of its generator.

    Raises:
        InputError: The family has no use for it, or it is settled elsewhere.
    """
    settled = _SETTLED | (_SETTLED_FOR_EG3D if family == "eg3d" else {})
    if name in settled:
        raise InputError(f"{name} {settled[name].format(recipe)}")
    if not is_read(name, family):
        raise InputError(f"{name} cannot be set: the recipe {recipe} has no use for it; leave it out")
