"""Ten mutated bugs for a run of the whole product, spread over the packages by the corpus' seed."""

import random

from benchmarks.repair.corpus import Bug, Manifest


def ten(manifest: Manifest) -> list[Bug]:
    """Return ten bugs of ten packages, the same ones each time."""
    rng = random.Random(manifest.seed)
    programs = rng.sample([package.name for package in manifest.packages], 10)
    return [rng.choice([bug for bug in manifest.bugs if bug.program == name]) for name in programs]
