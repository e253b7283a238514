"""Task loss and consistency loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def task_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, or mean squared error when there is one output."""
    if logits.shape[1] == 1:
        return F.mse_loss(logits[:, 0], labels.to(logits.dtype))
    return F.cross_entropy(logits, labels)


def consistency_loss(first: torch.Tensor, second: torch.Tensor, *, detach: bool,
                     regression: str) -> torch.Tensor:
    """Half the symmetric KL of two passes, summed over classes, mean over rows; unweighted.

    With `detach` the target of each term takes no gradient. With one output, "mse" is the mean squared difference in
    the same symmetric form; "none" leaves the divergence of one class, which is 0 with a gradient of 0 (not none: in
    the released code the second pass's experts count as updated).
    """
    def target(z: torch.Tensor) -> torch.Tensor:
        return z.detach() if detach else z

    if first.shape[1] == 1 and regression == "mse":
        return 0.5 * (((first - target(second)) ** 2).mean() + ((second - target(first)) ** 2).mean())

    def divergence(of: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
        """KL(softmax(of) || softmax(view))."""
        log_p = F.log_softmax(target(of), dim=1)
        return (log_p.exp() * (log_p - F.log_softmax(view, dim=1))).sum(1).mean()

    return 0.5 * (divergence(second, first) + divergence(first, second))
