"""Studies: comparisons of configs over several seeds (docs/study_plan.md)."""
