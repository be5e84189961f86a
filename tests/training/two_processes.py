"""Run by torchrun: steps of one training run, shared by all processes; the first one writes the weights."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.processes import Processes
from gen3d_tools.training.run.trainer import Trainer
from tests.training.tiny import tiny_recipe


def main(pictures, out):
    torch.set_num_threads(1)
    processes = Processes.join(torch.device("cpu"))
    recipe = tiny_recipe("3dgp")
    trainer = Trainer(recipe, open_pictures(Path(pictures), recipe.data), processes=processes)
    trainer.step()
    if processes.leads:
        gradients = {
            f"{which}.{name}": parameter.grad.contiguous()
            for which, network in (("G", trainer.generator), ("D", trainer.discriminator))
            for name, parameter in network.named_parameters()
            if parameter.grad is not None
        }
        save_file(gradients, out)
    processes.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
