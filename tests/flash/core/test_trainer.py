# SPDX-License-Identifier: Apache-2.0
"""``flash.Trainer``: arguments, prediction outputs, quiet defaults."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import flash
from flash.core.data.data_module import DataModule
from flash.core.data.io.output import ProbabilitiesOutput
from flash.core.model import Task

LABELS = ["left", "right"]


class Sign(Task):
    """Logits (-x, x) of the first number; one parameter so that it can be trained."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(F.cross_entropy, **kwargs)
        self.labels = LABELS
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([-x[:, 0], x[:, 0]], dim=1) * self.scale


class Numbers(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        for i in range(-2, 3):
            yield {"video": torch.tensor([i + 0.5]), "label": int(i >= 0), "video_name": f"{i}.mp4"}


def trainer(**kwargs: Any) -> flash.Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "max_epochs": 1,
    }
    return flash.Trainer(**quiet | kwargs)


def data(*stages: str) -> DataModule:
    return DataModule({stage: Numbers() for stage in stages}, batch_size=3)


def test_outputs_of_predict_agree() -> None:
    run, task, module = trainer(), Sign(), data("predict")
    answers = {
        name: run.predict(task, datamodule=module, output=name)
        for name in ("labels", "classes", "probabilities", "logits", "preds", "raw")
    }
    assert all([len(batch) for batch in batches] == [3, 2] for batches in answers.values())
    flat = {name: [x for batch in batches for x in batch] for name, batches in answers.items()}
    assert flat["classes"] == [0, 0, 1, 1, 1]
    assert flat["labels"] == [LABELS[c] for c in flat["classes"]]
    assert flat["logits"][0] == [1.5, -1.5]
    for i, raw in enumerate(flat["raw"]):
        assert sum(flat["probabilities"][i]) == pytest.approx(1)
        assert torch.equal(flat["preds"][i], raw["preds"])
        assert flat["logits"][i] == raw["preds"].tolist()
        # the sample without its pictures
        assert raw == {"label": raw["label"], "video_name": f"{i - 2}.mp4", "preds": raw["preds"]}
        softmax = torch.tensor(flat["logits"][i]).softmax(dim=0)
        assert flat["probabilities"][i] == pytest.approx(softmax.tolist())
    own = run.predict(task, datamodule=module, output=ProbabilitiesOutput())
    assert own == answers["probabilities"]


def test_default_output_of_the_task() -> None:
    run, module = trainer(), data("predict")
    assert run.predict(Sign(output="classes"), datamodule=module)[0] == [0, 0, 1]
    assert run.predict(datamodule=module, output="labels")[0] == ["left", "left", "right"]
    assert run.predict(Sign(), datamodule=module)[0][0]["video_name"] == "-2.mp4"


def test_loaders_in_the_place_of_a_datamodule() -> None:
    run = trainer()
    one = run.predict(Sign(), DataLoader(Numbers(), batch_size=5), "classes")
    assert one == [[0, 0, 1, 1, 1]]
    two = run.predict(Sign(), [DataLoader(Numbers(), batch_size=5)] * 2, "classes")
    assert two == [[[0, 0, 1, 1, 1]]] * 2


def test_unfit_outputs() -> None:
    with pytest.raises(ValueError, match="`output` to be one of"):
        trainer().predict(Sign(), datamodule=data("predict"), output="names")

    class Plain(pl.LightningModule):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return batch["video"].sum()

    assert len(trainer().predict(Plain(), datamodule=data("predict"))) == 2
    with pytest.raises(TypeError, match=r"None for a module that is no flash.Task"):
        trainer().predict(Plain(), datamodule=data("predict"), output="labels")


@pytest.mark.parametrize("name", ["train_dataloader", "train_dataloaders"])
@pytest.mark.parametrize("verb", ["fit", "finetune"])
def test_both_names_of_the_training_loader(verb: str, name: str) -> None:
    run, task = trainer(), Sign()
    getattr(run, verb)(task, **{name: DataLoader(Numbers())}, val_dataloaders=DataLoader(Numbers()))
    assert run.global_step == 5
    assert task.scale != 1
    with pytest.raises(TypeError, match="two names of one argument, but got both"):
        getattr(run, verb)(task, train_dataloader=Numbers(), train_dataloaders=Numbers())


def test_fast_dev_run_without_validation_data() -> None:
    run = trainer(fast_dev_run=True)
    run.finetune(Sign(), datamodule=data("train"))
    assert run.global_step == 1


def test_validating_without_validation_data() -> None:
    with pytest.raises(ValueError, match="DataModule has no val data"):
        trainer().validate(Sign(), datamodule=data("train"))
    with pytest.raises(ValueError, match="DataModule has no train data"):
        trainer().fit(Sign(), datamodule=data("val"))


def test_log_of_a_trainer_without_tensorboard(tmp_path: Path) -> None:
    run = trainer(logger=True, default_root_dir=tmp_path)
    assert isinstance(run.logger, CSVLogger)
    run.fit(Sign(), datamodule=data("train", "val"))
    (log,) = tmp_path.rglob("metrics.csv")
    assert "val_cross_entropy" in log.read_text().splitlines()[0]


def test_gpus_of_old(monkeypatch: pytest.MonkeyPatch) -> None:
    run = flash.Trainer(gpus=0, logger=False, enable_checkpointing=False)
    assert isinstance(run.accelerator, pl.accelerators.CPUAccelerator)
    with pytest.raises(TypeError, match="either `gpus` or `accelerator` and `devices`"):
        flash.Trainer(gpus=1, devices=1)


def test_no_advertisements(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trainer(enable_checkpointing=True, logger=True, fast_dev_run=True).fit(
            Sign(), datamodule=data("train")
        )
    assert "fast_dev_run" in caplog.text
    assert "Tip:" not in caplog.text
