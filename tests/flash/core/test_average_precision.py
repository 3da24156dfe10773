# SPDX-License-Identifier: Apache-2.0
"""The mean average precision as a metric, in batches and where there is none."""

import torch

from flash.core.average_precision import MeanAveragePrecision


def test_batches_count_as_one_list() -> None:
    metric = MeanAveragePrecision()
    metric(torch.tensor([[3.0, 0.0], [2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    metric(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    # ranks 1 and 3 of four; no clip has the second label
    torch.testing.assert_close(metric.compute(), torch.tensor(5 / 6))
    metric.reset()
    metric.update(torch.zeros(1, 2), torch.zeros(1, 2))
    assert metric.compute().isnan()
    metric.update(torch.full((1, 2), float("inf")), torch.ones(1, 2))
    assert metric.compute().isnan()
