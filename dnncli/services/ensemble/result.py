"""What a consensus came to: the object that `consensus --json` prints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnncli.services.ensemble.agreed import AgreementReport
from dnncli.services.evaluation.result import EvalReport
from dnncli.voting.coverage import CoverageLevel, KLevel
from dnncli.voting.recall_target import RuleChoice
from dnncli.voting.worth import Comparison, Score


@dataclass(frozen=True, kw_only=True)
class MemberReport:
    """One model: its votes and, where the truth is known, what they are worth."""

    n_votes: int
    ties: int  # rows whose highest probability belongs to several classes: no vote
    weight: float | None  # None: the method has no weights
    agreement: float  # with the votes of the others
    accuracy: float | None  # of all rows with known truth, as the next five; None: no truth
    accuracy_interval: tuple[float, float] | None
    accuracy_decided: float | None
    coverage: float | None
    recall: float | None
    precision: float | None
    habits: list[list[float]] | None  # (C, C) of Dawid-Skene: share of votes; rows = truth


@dataclass(frozen=True, kw_only=True)
class BestSingle:
    """The best member, and whether the consensus beats it on the same rows."""

    name: str
    accuracy: float
    recall: float | None
    against: Comparison  # on all rows: no decision is wrong
    against_decided: Comparison
    against_positives: Comparison | None


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What a user would have without the consensus, or with the plainest one."""

    majority: Score
    best_single: BestSingle
    mean_single: float  # mean of the members' accuracies
    mean_recall: float | None


@dataclass(frozen=True, kw_only=True)
class SelectionReport:
    """What greedy selection did."""

    sequence: list[str]  # model picked in each round
    losses: list[float]  # after each round
    best_prefix: int  # rounds that count
    best_single: str
    best_single_loss: float


@dataclass(frozen=True, kw_only=True)
class LearnedReport:
    """What Dawid-Skene made of the votes."""

    prior: dict[str, float]  # share of rows of each class
    iterations: int
    converged: bool


@dataclass(frozen=True, kw_only=True)
class ConsensusReport:
    """Decisions of several models about the same rows, and what they are worth."""

    schema: str
    models: tuple[str, ...]
    classes: tuple[str, ...]
    positive: str | None
    kind: str  # of the models' files: "label" or "probability"
    method: str
    options: dict[str, Any]
    n: int  # rows
    coverage: float  # share of them that are decided
    status_counts: dict[str, int]
    decided: dict[str, int]  # rows decided for each class
    weights: dict[str, float] | None
    weighed_by: str  # "equal", "given", "log-odds", ...
    chosen_by: dict[str, str]  # what was chosen -> the file or split whose rows chose it
    selection: SelectionReport | None
    learned: LearnedReport | None
    target: RuleChoice | None
    agreement: AgreementReport
    members: dict[str, MemberReport]
    scores: EvalReport | None  # of the decided rows with known truth
    consensus: Score | None  # of all rows with known truth: no decision is wrong
    coverage_table: list[CoverageLevel]
    k_table: list[KLevel] | None  # None without a positive class
    baselines: Baselines | None
    duplicates: list[tuple[str, str, float]]
    effective_models: float | None
    predictions_per_row: float
    out: Path | None
    notes: tuple[str, ...]  # which rows these are
    warnings: tuple[str, ...]
