"""EpiGRAF and 3DGP in training: patches of pictures, and with depth what an estimator would say of them."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import NoiseMode
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.families.triplane import split_planes
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.losses import sparsity
from gen3d_tools.training.patches import Patches, patch_pixels
from gen3d_tools.training.schedules import candidate_probabilities
from gen3d_tools.training.synthesis.fakes import Fakes, Request
from gen3d_tools.training.synthesis.rendering import RaySampling, render_pixels


def fakes(
    generator: PlaneGenerator,
    request: Request,
    patches: Patches,
    side: int,
    draws: Draws,
    *,
    kimg: float,
    depth_kimg: float = 10_000.0,
    density_noise: float = 0.0,
    prior_share: float = 0.0,
    with_opaque: bool = False,
    sampling: RaySampling = "fast",
) -> Fakes:
    """Make the patches of a round.

    Args:
        generator: EpiGRAF or 3DGP.
        request: What they are made of.
        patches: Which parts of the pictures.
        side: Pixels along a side.
        draws: Noise, jitter, and the choice of the depth adaptor's answer.
        kimg: Thousands of real pictures seen.
        depth_kimg: Until the depth adaptor's deeper answers are preferred.
        density_noise: Standard deviation, on raw densities.
        prior_share: Of the samples that are seen by the prior's cameras, see `rendered_poses`.
        with_opaque: Say how much of the box is solid, too.
        sampling: See `render_pixels`.
    """
    poses = rendered_poses(generator, request, draws, prior_share)
    ws = generator.map_angles(request.z, request.class_onehot, request.told_angles)
    if request.later_z is not None:
        later = generator.map_angles(request.later_z, request.class_onehot, request.told_angles)
        ws = torch.cat([ws[:, : request.later_from], later[:, request.later_from :]], 1)
    fields = fields_in_training(generator, ws, draws)
    pixels = patch_pixels(patches, side)
    values, distance = render_pixels(
        fields, poses.camera(), pixels, sampling=sampling, jitter=draws.jitter, density_noise=density_noise
    )
    images = values[:, :3] * 2 - 1
    if isinstance(generator, ThreeDGPGenerator) and generator.synthesis.depth_adaptor is not None:
        images = torch.cat([images, adapted(generator, distance, draws, kimg, depth_kimg)], 1)
    opaque = None
    if with_opaque:
        places = draws.uniform(len(fields), sparsity.POINTS, 3)
        opaque = sparsity.opaque_share(fields, places.to(ws.device))
    return Fakes(images, angles=poses.angles, ws=ws, opaque=opaque)


def rendered_poses(generator: PlaneGenerator, request: Request, draws: Draws, prior_share: float = 0.0) -> Pose:
    """The cameras that are rendered: the prior's, moved by the camera generator where there is one.

    Learned cameras stand where the pictures were taken from, and nothing says what objects look like from farther
    round: there matter grows behind them. A share of cameras that stay where the (wider) prior has them shows it to D.

    Args:
        generator: EpiGRAF or 3DGP.
        request: Has the prior's cameras.
        draws: Which of them stay.
        prior_share: How many, from 0 to 1.
    """
    prior = request.poses
    if prior is None:
        raise ValueError("this family needs poses")
    if not isinstance(generator, ThreeDGPGenerator) or generator.synthesis.camera_adaptor is None:
        return prior
    moved = generator.posterior_poses(prior, request.z, request.class_onehot)
    if not prior_share:
        return moved
    stay = (draws.uniform(len(request)) < prior_share).to(request.z.device)
    parameters = torch.where(stay[:, None], prior.parameters.to(moved.parameters), moved.parameters)
    return Pose.from_parameters(parameters, moved.yaw_zero)


def fields_in_training(
    generator: PlaneGenerator, ws: Float[Tensor, "b num_ws w_dim"], draws: Draws
) -> list[TriplaneField]:
    """Synthesise the planes of all samples at once, with fresh noise."""
    mode: NoiseMode = "none" if draws.jitter is None else "random"
    image = generator.synthesize(ws, noise_mode=mode, generator=draws.noise_for(ws.device))
    planes = split_planes(image[:, : 3 * generator.config.plane_channels])
    fields = [generator.field(one) for one in planes]
    if isinstance(generator, EpigrafGenerator) and generator.config.background != "none":
        return [
            generator.with_backdrop(field, one, channels, in_patches=True)
            for field, one, channels in zip(fields, ws, image, strict=True)
        ]
    return fields


def adapted(
    generator: ThreeDGPGenerator, distance: Float[Tensor, "b 1 n n"], draws: Draws, kimg: float, depth_kimg: float
) -> Float[Tensor, "b 1 n n"]:
    """One of the depth adaptor's answers for each sample; only that one gets gradients (3DGP, section 3.1)."""
    adaptor = generator.synthesis.depth_adaptor
    assert adaptor is not None
    answers = torch.stack(adaptor.answers(distance))
    probabilities = candidate_probabilities(kimg, len(answers), depth_kimg)
    chosen = draws.candidates(probabilities, len(distance)).to(distance.device)
    return answers[chosen, torch.arange(len(distance), device=distance.device)]
