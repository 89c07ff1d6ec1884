"""Tables and plots of what runs recorded: nothing here computes a statistic or changes a run."""
