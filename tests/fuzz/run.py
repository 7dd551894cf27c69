"""Looks for bytes that break a parser, by Atheris: `make fuzz SECONDS=600 TARGETS="jwt page"`.

What is found interesting stays in `.cache/fuzz`, by target; bytes that broke something are named `broke-…` there.
`--keep` takes over into `corpus/`, which the tests replay, what reaches code that nothing kept before reaches.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
FOUND = Path(".cache/fuzz")
LONGEST = 2048
ONE = "--one"
"""With it this program is the process in which one target is fuzzed; what follows is libFuzzer's."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for bytes that break a parser of ours.")
    parser.add_argument("targets", nargs="*", help="which (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="how long for each (default: 60)")
    parser.add_argument("--keep", action="store_true", help="take over what was found into the corpus in git")
    if sys.argv[1:2] == [ONE]:
        _fuzz(sys.argv[2], sys.argv[3:])
        return
    asked = parser.parse_args()
    from tests.fuzz.targets import TARGETS, seed

    broken = []
    for name in asked.targets or TARGETS:
        found, kept = FOUND / name, CORPUS / name
        seed(name, found)
        kept.mkdir(parents=True, exist_ok=True)
        if asked.keep:
            options = ["-merge=1", f"-max_len={LONGEST}", str(kept), str(found)]
        else:
            options = [f"-max_total_time={asked.seconds}", f"-artifact_prefix={found}/broke-", str(found), str(kept)]
        print(f"{name}: ", end="", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, ONE, name, *options],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        units = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        said = f"{len(list(kept.iterdir()))} kept" if asked.keep else f"{units[0] if units else 'no'} tries"
        print(said if done.returncode == 0 else f"broken\n{done.stderr[-3000:]}")
        broken += [name] if done.returncode else []
    sys.exit(f"broken: {', '.join(broken)}" if broken else 0)


def _fuzz(name: str, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["server"]):
        from tests.fuzz.targets import TARGETS
    logging.disable()
    limits = [f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"]
    # To merge, libFuzzer runs the program that it is told of here again, by a shell.
    again = f"{sys.executable} -m {__spec__.name} {ONE} {name}"
    atheris.Setup([again, *limits, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
