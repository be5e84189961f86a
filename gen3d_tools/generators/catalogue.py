"""The families of generators for people: paper, published weights, their licence, and what works.

Names of projects and not addresses, which go stale. `generators.loading.FAMILIES` says which are loaded by what class;
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FamilyFacts:
    """What to know about a family before its weights are there."""

    family: str
    """As `config.json` spells it."""
    name: str
    """As the paper spells it."""
    paper: str
    licence: str
    """Of the published weights."""
    weights: str
    """Who published which, and where to look."""
    files: str
    """Pattern of the published files' names; "" where there are none."""
    works: str
    """What is supported, and what of the original is not."""


_NVIDIA = "NVIDIA Source Code License (non-commercial)"

CATALOGUE = (
    FamilyFacts(
        family="eg3d",
        name="EG3D",
        paper="Chan et al., Efficient Geometry-aware 3D Generative Adversarial Networks, CVPR 2022",
        licence=_NVIDIA,
        weights="NVIDIA's model catalogue NGC, resource eg3d: FFHQ, AFHQ cats, ShapeNet cars",
        files="*.pkl",
        works="everything; StyleGAN3 planes are refused",
    ),
    FamilyFacts(
        family="epigraf",
        name="EpiGRAF",
        paper="Skorokhodov et al., EpiGRAF: Rethinking training of 3D GANs, NeurIPS 2022",
        licence="see the original release",
        weights="the authors' repository universome/epigraf",
        files="*.pkl",
        works="everything, backgrounds on the screen and on a sphere included",
    ),
    FamilyFacts(
        family="threedgp",
        name="3DGP",
        paper="Skorokhodov et al., 3D generation on ImageNet, ICLR 2023",
        licence="see the original release",
        weights="the authors' repository snap-research/3dgp",
        files="*.pkl",
        works="everything, camera generator and depth adaptor included",
    ),
    FamilyFacts(
        family="geometry_aware",
        name="Geometry-aware generation",
        paper="Shen and Wang, Geometry aware 3D generation from in-the-wild images in ImageNet, 2024",
        licence="Apache-2.0 (the bundled model shapes, trained here)",
        weights="none published; the bundled model is trained from the paper's description",
        files="",
        works="everything",
    ),
    FamilyFacts(
        family="stylenerf",
        name="StyleNeRF",
        paper="Gu et al., StyleNeRF: A Style-based 3D-Aware Generator for High-resolution Image Synthesis, ICLR 2022",
        licence="not stated; CC BY-NC 4.0 code, in parts NVIDIA Source Code License (non-commercial)",
        weights="the Hugging Face page facebook/stylenerf-ffhq-config-basic: FFHQ at 256, 512 and 1024",
        files="ffhq_*.pkl, *network-snapshot*.pkl",
        works="everything of the published configurations; warped depths, hash grids and view directions are refused",
    ),
    FamilyFacts(
        family="triposr",
        name="TripoSR",
        paper="Tochilkin et al., TripoSR: Fast 3D Object Reconstruction from a Single Image, 2024",
        licence="MIT (code, and by their card the weights)",
        weights="the Hugging Face page stabilityai/TripoSR: any object, from one photo",
        files="config.yaml and model.ckpt in one folder",
        works="everything; it has no seeds: gen3d invert PHOTO --model FOLDER",
    ),
    FamilyFacts(
        family="reconstruction",
        name="One object",
        paper="none: what gen3d invert writes with a model such as TripoSR",
        licence="that of the model it was made with",
        weights="none published",
        files="",
        works="everything but seeds and classes: it is one object",
    ),
    FamilyFacts(
        family="volumegan",
        name="VolumeGAN",
        paper="Xu et al., 3D-aware Image Synthesis via Learning Structural and Textural Representations, CVPR 2022",
        licence="MIT code; weights without a statement of their own, trained on FFHQ (non-commercial data set licence)",
        weights="the authors' repository genforce/volumegan: FFHQ at 256 x 256",
        files="volumegan_*.pth",
        works="everything; Carver's rewrite, background branches and grouped integration are refused",
    ),
)
"""In the order of their papers' tables."""

FLAT_GENERATORS = "BigGAN, ADM and StyleGAN-XL make flat pictures: there is nothing 3-D in them to export"
"""Why the other generators of those tables are not here."""
