"""The discriminators give the recorded logits, penalties and gradients of the published ones."""

from functools import partial

import pytest
import torch

from gen3d_tools.training.discriminators.body import BodyConfig
from gen3d_tools.training.discriminators.dual import DualDiscriminator, raw_of_real, resized
from gen3d_tools.training.discriminators.patch import PatchDiscriminator
from gen3d_tools.training.losses.distillation import distillation_distance, sample_weights
from gen3d_tools.training.losses.gradient_penalty import r1_penalty
from gen3d_tools.training.patches import Patches
from tests.training.recorded import Recorded, cases, check_gradients, load_strictly, parts, relative

LATER_FROMRGB = ("fromrgb",)


def patch_discriminator(cfg, kwargs, info, tensors, num_classes, side, channels):
    base = kwargs.get("channel_base", cfg.get("cbase", 0))
    if "cbase" in cfg:
        base = int(cfg["cbase"] * cfg["fmaps"])
    config = BodyConfig(
        image_channels=channels,
        channel_base=base,
        channel_max=kwargs.get("channel_max", cfg.get("cmax", 0)),
        clamp=kwargs.get("conv_clamp"),
        group=cfg["mbstd_group_size"],
    )
    return PatchDiscriminator(
        config,
        side=side,
        extra_blocks=cfg["num_additional_start_blocks"],
        num_classes=num_classes,
        camera_conditioned=cfg["camera_cond"],
        feature_dim=int(info.get("feat_predict_dim", 0)),
        table_width=tensors["scalar_enc.const_embed.weight"].shape[1],
        modulation=tensors["hyper_mod_mapping.fc1.weight"].shape[0] if cfg["hyper_mod"] else 0,
        label_has_patch=cfg["hyper_mod"] or "c_dim" in cfg,
    )


def discriminator_of(case):
    """The network of a case that holds one alone."""
    info, image = case.info, case["in.img"]
    return patch_discriminator(
        info["cfg"],
        info.get("kwargs", {}),
        info,
        case.discriminator(),
        info.get("c_dim", info["cfg"].get("c_dim")),
        image.shape[-1],
        image.shape[1],
    )


def layers_of(network):
    """What each layer gives from now on, by the layer's name; "mbstd" is what the epilogue's convolution is given."""
    seen = {}

    def keep(name, _, inputs, output):
        seen[name] = output
        if name == "b4.conv":
            seen["mbstd"] = inputs[0][:, -1, 0, 0]

    for name, layer in network.named_modules():
        layer.register_forward_hook(partial(keep, name))
    return seen


def check_layers(case, seen):
    """Compare every recorded step between the picture and the logits."""
    layers = {"epilogue_conv": "b4.conv", "mbstd_channel": "mbstd"}
    names = r"(?:block_)?(b\d+|\w+_mapping|scalar_enc|epilogue_conv|mbstd_channel)(_sample0)?"
    for match, expected in case.outputs(names).items():
        found = seen[layers.get(match[1], match[1])]
        assert relative(found[0] if match[2] else found, expected) < 1e-5, match[0]


@pytest.mark.parametrize("name", cases("patch_discriminator"))
def test_patch_discriminator(name):
    case = Recorded(name)
    image = case["in.img"].requires_grad_()
    network = discriminator_of(case)
    load_strictly(network, case.discriminator(), LATER_FROMRGB)
    patches = Patches(case["in.scales"], case["in.offsets"])
    angles = case.get("in.camera_angles")
    seen = layers_of(network)
    logits = network(image, patches, case["in.c"], angles)
    assert relative(logits, case["out.logits"]) < 1e-5
    check_layers(case, seen)
    (gradient,) = torch.autograd.grad(logits.sum(), image, retain_graph=True)
    assert relative(gradient, case["out.input_gradient_of_logit_sum"]) < 1e-4
    penalty = r1_penalty(logits, [image])
    assert relative(penalty, case["out.r1_penalty_per_sample"]) < 1e-4
    (penalty.mean() * 0.05).backward()
    assert check_gradients(network, case, "gradnorm.R1.") > 10


@pytest.mark.parametrize(("name", "kind"), parts("patch_discriminator", r"out\.kd_(\w+)_unweighted"))
def test_distilled_features(name, kind):
    case = Recorded(name)
    network = discriminator_of(case)
    load_strictly(network, case.discriminator(), LATER_FROMRGB)
    patches = Patches(case["in.scales"], case["in.offsets"])
    _, features = network.with_features(case["in.img"], patches, case["in.c"])
    assert relative(features, case["out.feats"]) < 1e-5
    distance = distillation_distance(features, case["in.embs"], kind)
    assert relative(distance, case[f"out.kd_{kind}_unweighted"]) < 1e-5
    weights = sample_weights(patches.scales)
    assert relative(weights, case["out.kd_sample_weights"]) < 1e-5
    (distance * weights).mean().backward()
    assert check_gradients(network, case, f"gradnorm.kd_{kind}.") > 10


@pytest.mark.parametrize("name", cases("dual_discriminator"))
def test_dual_discriminator(name):
    case = Recorded(name)
    kwargs = case.info["kwargs"]
    config = BodyConfig(
        image_channels=2 * kwargs.get("img_channels", 3),
        channel_base=kwargs["channel_base"],
        channel_max=kwargs["channel_max"],
        clamp=kwargs["conv_clamp"],
        group=kwargs["mbstd_group_size"],
    )
    network = DualDiscriminator(config, resolution=kwargs["img_resolution"], label_dim=kwargs["c_dim"])
    load_strictly(network, case.discriminator())
    image, raw = case["in.image"].requires_grad_(), case["in.image_raw"].requires_grad_()
    label = case["in.c"] if kwargs["c_dim"] else None
    logits = network.judge(image, raw, label)
    assert relative(logits, case["out.logits"][:, 0]) < 1e-5
    of_image, of_raw = torch.autograd.grad(logits.sum(), [image, raw], retain_graph=True)
    assert relative(of_image, case["out.input_gradient_image"]) < 1e-4
    assert relative(of_raw, case["out.input_gradient_image_raw"]) < 1e-4
    penalty = r1_penalty(logits, [image, raw])
    assert relative(penalty, case["out.r1_penalty_per_sample"]) < 1e-4
    (penalty.mean() * 0.5).backward()
    assert check_gradients(network, case, "gradnorm.R1.") > 10
    assert relative(resized(raw, image.shape[-1]), case["out.image_raw_resized"]) < 1e-5
    for filtering, suffix in (("antialiased", ""), ("none", "_none"), ("classic", "_classic"), (0.5, "_0.5")):
        found = raw_of_real(image, raw.shape[-1], filtering)
        assert relative(found, case[f"out.real_raw_from_image{suffix}"]) < 1e-5, filtering
