"""Statistics: plain numbers in, plain numbers out, each with its interval."""

from labkit.stats.estimators import pass_at_k
from labkit.stats.intervals import wilson, wilson_mean
from labkit.stats.means import student_mean
from labkit.stats.summary import Rate, pass_at_k_rates, powers_of_two

__all__ = ["Rate", "pass_at_k", "pass_at_k_rates", "powers_of_two", "student_mean", "wilson", "wilson_mean"]
