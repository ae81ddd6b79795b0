"""Which clips of a data set train, choose and test: by the publisher's folds or parts, else by recording."""

from collections.abc import Iterator
from dataclasses import dataclass

from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Dataset, split_by_group
from trainer.finetuning.config import FinetuneConfig


@dataclass(frozen=True)
class Split:
    """Indices of the clips of one run."""

    name: str
    train: list[int]
    validation: list[int]
    test: list[int]
    fold: int | None = None


def plan(
    dataset: Dataset,
    config: FinetuneConfig,
    folds: list[int],
    everything: bool,
    test_share: float,
    force: bool = False,
) -> Iterator[Split]:
    """The splits to run: by the publisher's folds or parts, else by recording.

    Raises WrongUse where a fold does not exist, or where recordings are needed and not known.
    """
    indices = list(range(len(dataset.recordings)))
    parts = {part: [i for i in indices if dataset.recordings[i].part == part] for part in (TRAIN, VALIDATION, TEST)}
    if unknown := set(folds) - set(dataset.folds):
        known = f"folds {', '.join(map(str, dataset.folds))}" if dataset.folds else "no folds"
        raise WrongUse(f"--test-fold {min(unknown)}: the data has {known}")
    if everything:
        yield _validated("everything", dataset, config, indices, [], None, force)
    elif dataset.folds:
        for fold in folds or dataset.folds:
            test = [i for i in indices if dataset.recordings[i].fold == fold]
            rest = [i for i in indices if dataset.recordings[i].fold != fold]
            yield _validated(f"fold{fold}", dataset, config, rest, test, fold, force)
    elif parts[TEST]:
        apart = {*parts[TEST], *parts[VALIDATION]}
        rest = [i for i in indices if i not in apart]
        if parts[VALIDATION]:
            yield Split("test", rest, parts[VALIDATION] if config.validation else [], parts[TEST])
        else:
            yield _validated("test", dataset, config, rest, parts[TEST], None, force)
    else:
        rest, test = split_by_group(dataset, test_share, config.seed, force)
        yield _validated("test", dataset, config, rest, test, None, force)


def _validated(
    name: str, dataset: Dataset, config: FinetuneConfig, rest: list[int], test: list[int], fold: int | None, force: bool
) -> Split:
    if not config.validation:
        return Split(name, rest, [], test, fold)
    train, validation = split_by_group(dataset.choose(rest), config.validation, config.seed, force)
    return Split(name, [rest[i] for i in train], [rest[i] for i in validation], test, fold)
