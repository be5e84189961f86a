"""Which samples a command is about."""

from dataclasses import replace

from gen3d_tools.generators.geometry_aware import GeometryAwareGenerator
from gen3d_tools.workflows.samples import Sample, choose_samples


def test_files_of_a_sample_are_named_by_class_and_seed():
    assert Sample(3, 0, "coffee mug").stem == "coffee_mug-0003"
    assert Sample(12345, None, "").stem == "seed-12345"


def test_classes_of_one_name_keep_apart(tiny_generator):
    cranes = replace(tiny_generator.settings, class_names=("crane", "crane"))
    generator = GeometryAwareGenerator(tiny_generator.config, cranes)
    stems = [sample.stem for sample in choose_samples(generator, "0", "all")]
    assert stems == ["crane_0-0000", "crane_1-0000"]


def test_every_class_meets_every_seed_class_by_class(tiny_generator):
    chosen = choose_samples(tiny_generator, "4,1", "cube,ball")
    assert [(sample.class_name, sample.seed) for sample in chosen] == [
        ("cube", 4),
        ("cube", 1),
        ("ball", 4),
        ("ball", 1),
    ]
