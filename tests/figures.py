"""The figures in README.md and docs/FIGURES.md come from docs/figures.json and from nobody's hand.

``bargein bench --calls --json > docs/figures.json`` measures, ``python tests/figures.py`` writes.
"""

from pathlib import Path

from bargein.cli.bench.figures import Figures, read, summary, tables

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "docs" / "figures.json"
README, WHOLE = ROOT / "README.md", ROOT / "docs" / "FIGURES.md"
BEGINS, ENDS = "<!-- figures: written by tests/figures.py -->\n", "<!-- end of figures -->\n"
HEAD = """# Figures

Every budget beside the stock host in the same run, as `bargein bench --calls --json` printed it
into [figures.json](figures.json); written from there by `python tests/figures.py`. A figure is a
median unless its name says otherwise, the middle half lies between the quartiles, and ratios are
ours over theirs: of the medians, and the middle half of those of single pairs.

"""


def in_readme(readme: str, figures: Figures) -> str:
    """README.md with these figures between the markers."""
    before, rest = readme.split(BEGINS)
    _, after = rest.split(ENDS)
    return f"{before}{BEGINS}{summary(figures)}{ENDS}{after}"


def whole(figures: Figures) -> str:
    """docs/FIGURES.md."""
    return HEAD + tables(figures)


def main() -> None:
    """Write both."""
    figures = read(MEASURED)
    README.write_text(in_readme(README.read_text(encoding="utf-8"), figures), encoding="utf-8")
    WHOLE.write_text(whole(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
