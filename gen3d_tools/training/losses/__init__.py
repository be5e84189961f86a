"""What is minimised; each file is one term.

* `adversarial`: the game itself.
* `gradient_penalty`: R1.
* `distillation`: features of a pretrained network, into the discriminator.
* `density`: nearby points have nearby densities.
* `sparsity`: space is empty unless pictures say otherwise.
* `cameras`: the learned camera distribution stays near its prior.
"""
