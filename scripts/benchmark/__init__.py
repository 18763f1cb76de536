"""What `scripts/bench` runs: a made-up corpus, measures in fresh processes, and a report.

Three rules hold throughout. Whatever is timed runs in a process of its own, so that neither memory
nor caches carry over. All measures are taken in turn, round after round, so that a machine that
slows down slows down all of them. And nothing here judges: a target is printed as reached or not,
and the exit code says only whether the measuring worked.

What each figure means is in `docs/benchmarks.md`.
"""
