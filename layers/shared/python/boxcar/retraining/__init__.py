"""Whether a family is trained before its week: by age, by labels that have come, by drift, as its policy says."""
