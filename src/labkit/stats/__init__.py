"""Statistics: plain numbers in, plain numbers out, each with its interval."""

from labkit.stats.bootstrap import Bootstrap, BootstrapMeans, bootstrap_means, cluster_bootstrap
from labkit.stats.budgets import pass_at_mean_k, union_pass_at_k
from labkit.stats.clusters import (
    ClusterDifference,
    ClusterRate,
    VarianceComponents,
    cluster_rate,
    clustered_mean,
    intraclass_correlation,
    paired_cluster_difference,
    variance_components,
)
from labkit.stats.comparison import PairedDifference, benjamini_hochberg, holm, paired_difference
from labkit.stats.contingency import fisher_exact, mcnemar_exact, two_proportion_z
from labkit.stats.crossfit import CrossFittedBest, cross_fitted_best
from labkit.stats.drift import ChangePoint, change_point
from labkit.stats.estimators import g_pass_at_k, pass_at_k, pass_hat_k
from labkit.stats.intervals import clopper_pearson, newcombe, wilson, wilson_mean
from labkit.stats.majority import SampledValue, maj_at_k, weighted_maj_at_k
from labkit.stats.means import student_mean
from labkit.stats.permutation import Permutation, sign_flip_permutation, swap_permutation
from labkit.stats.power import mde, rates_power, rates_sample_size, sample_size
from labkit.stats.ranking import ranking_permutation
from labkit.stats.selection import (
    WithinItemAuc,
    best_of_n,
    expected_calibration_error,
    item_auc,
    mean_item_auc,
    selection_efficiency,
    within_item_auc,
)
from labkit.stats.summary import Rate, pass_at_k_rates, powers_of_two

__all__ = [
    "Bootstrap",
    "BootstrapMeans",
    "ChangePoint",
    "ClusterDifference",
    "ClusterRate",
    "CrossFittedBest",
    "PairedDifference",
    "Permutation",
    "Rate",
    "SampledValue",
    "VarianceComponents",
    "WithinItemAuc",
    "benjamini_hochberg",
    "best_of_n",
    "bootstrap_means",
    "change_point",
    "clopper_pearson",
    "cluster_bootstrap",
    "cluster_rate",
    "clustered_mean",
    "cross_fitted_best",
    "expected_calibration_error",
    "fisher_exact",
    "g_pass_at_k",
    "holm",
    "intraclass_correlation",
    "item_auc",
    "maj_at_k",
    "mcnemar_exact",
    "mde",
    "mean_item_auc",
    "newcombe",
    "paired_cluster_difference",
    "paired_difference",
    "pass_at_k",
    "pass_at_k_rates",
    "pass_at_mean_k",
    "pass_hat_k",
    "powers_of_two",
    "ranking_permutation",
    "rates_power",
    "rates_sample_size",
    "sample_size",
    "selection_efficiency",
    "sign_flip_permutation",
    "student_mean",
    "swap_permutation",
    "two_proportion_z",
    "union_pass_at_k",
    "variance_components",
    "weighted_maj_at_k",
    "wilson",
    "wilson_mean",
    "within_item_auc",
]
