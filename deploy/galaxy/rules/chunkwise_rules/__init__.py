"""Rules that choose where a job runs; Galaxy looks into the modules of this package."""
