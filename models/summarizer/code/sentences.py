"""Where sentences end, by rules: enough for prose in languages that end sentences with a full stop."""

import re

ABBREVIATIONS = {
    "dr", "mr", "mrs", "ms", "prof", "st", "vs", "etc", "e.g", "i.e", "cf", "fig", "no", "inc", "ltd", "co", "corp",
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "approx", "ca", "al",
}  # fmt: skip
_ENDS = re.compile(r"""(?<=[.!?])["'”’)\]]*\s+(?=["'“‘(\[]*[A-Z0-9ÄÖÜÀ-Þ])""")
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*#|•]|\d+\.)\s)")  # a blank line, or a line of a list, table or heading


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line. A blank line ends one; an abbreviation does not."""
    found: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        begun = ""
        for part in _ENDS.split(" ".join(paragraph.split())):
            begun = f"{begun} {part}".strip()
            if not _goes_on(begun):
                found.append(begun)
                begun = ""
        if begun:
            found.append(begun)
    return [sentence for sentence in found if sentence]


def _goes_on(begun: str) -> bool:
    last = begun.rpartition(" ")[2]
    word = last.rstrip(".").lstrip("(\"'“‘[").lower()
    initials = re.fullmatch(r"([^\W\d]\.)*[^\W\d]", word) is not None
    return last.endswith(".") and (word in ABBREVIATIONS or initials)
