"""AdamW as in Hugging Face transformers 4, with a rule for parameters that got no gradient."""

from __future__ import annotations

import math

import torch
from torch import nn


def decays(name: str) -> bool:
    """Whether weight decay applies: not to biases and LayerNorm."""
    return "bias" not in name and "LayerNorm" not in name


def clip_gradients(parameters: dict[str, nn.Parameter], max_norm: float) -> float:
    """Scales all gradients to a global norm of at most `max_norm` (0: never); returns the norm before."""
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    scale = max_norm / (norm + 1e-6)
    if max_norm > 0 and scale < 1:
        for gradient in gradients:
            gradient.mul_(scale)
    return norm.item()


class HfAdamW:
    """Bias correction in the step size, epsilon outside it (or "corrected": behind that of the second moment, as PyTorch's
    own AdamW has it), decay after the update with the current rate.

    A parameter's step counter starts at its first gradient. Later, when it gets none, "zero-grad" updates
    it with a gradient of zero (torch 1.x) and "skip" leaves it as it is (torch 2.x).
    """

    def __init__(self, parameters: dict[str, nn.Parameter], *, betas: tuple[float, float],
                 epsilon: float, weight_decay: float, unselected: str, decay_all: bool = False,
                 epsilon_placement: str = "uncorrected") -> None:
        self.parameters = parameters
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay
        self.unselected, self.decay_all, self.epsilon_placement = unselected, decay_all, epsilon_placement
        self.state: dict[str, tuple[int, torch.Tensor, torch.Tensor]] = {}

    def zero_grad(self) -> None:
        """Forgets the gradients; which parameters have state tells who has ever had one."""
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update with learning rate `rate`."""
        beta1, beta2 = self.betas
        for name, p in self.parameters.items():
            seen = name in self.state
            if p.grad is None and not (seen and self.unselected == "zero-grad"):
                continue
            gradient = torch.zeros_like(p) if p.grad is None else p.grad
            count, m, v = self.state[name] if seen else (0, torch.zeros_like(p), torch.zeros_like(p))
            count += 1
            m.mul_(beta1).add_(gradient, alpha=1 - beta1)
            v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            correction = math.sqrt(1 - beta2**count)
            epsilon = self.epsilon * (correction if self.epsilon_placement == "corrected" else 1)
            p.addcdiv_(m, v.sqrt().add_(epsilon), value=-rate * correction / (1 - beta1**count))
            if self.weight_decay and (self.decay_all or decays(name)):
                p.mul_(1 - rate * self.weight_decay)
            self.state[name] = (count, m, v)
