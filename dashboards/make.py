#!/usr/bin/env python3
"""Writes the dashboards beside it from generator/; with --check it only says what is stale."""

import json
import pathlib
import sys

from generator import comparison, fleet, llama, overview, power, runs, tuning

HERE = pathlib.Path(__file__).parent
BUILDERS = {
    "fleet": fleet,
    "llama": llama,
    "overview": overview,
    "power": power,
    "run-comparison": comparison,
    "runs": runs,
    "tuning": tuning,
}


def main():
    stale = []
    for name, module in BUILDERS.items():
        text = json.dumps(module.build(), indent=2, ensure_ascii=False) + "\n"
        file = HERE / f"{name}.json"
        if not file.exists() or file.read_text() != text:
            stale.append(file.name)
            if sys.argv[1:] != ["--check"]:
                file.write_text(text)
    if sys.argv[1:] == ["--check"] and stale:
        sys.exit(f"stale, run dashboards/make.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
