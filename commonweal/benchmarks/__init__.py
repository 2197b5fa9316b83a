"""Studies: suites, runner, statistics, report."""
