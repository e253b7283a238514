#!/usr/bin/env python3
"""Sentences and words of NLTK 3.5, with a small sentence model made here, on random text.

    pip install nltk==3.5
    python tools/make_nltk_fixture.py > adamix-data/tests/fixtures/nltk_recorded.json
"""

import json
import random

from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

MODEL = {
    "abbreviations": ["dr", "u.s", "e.g", "st", "inc", "co", "ft"],
    "collocations": [["st", "louis"], ["##number##", "street"], ["j", "bach"]],
    "starters": ["the", "he", "it", "however"],
    "contexts": {
        "the": 2 | 4 | 8 | 16 | 32, "he": 2 | 32, "it": 2 | 32 | 64, "smith": 4, "however": 2 | 32,
        "a": 2 | 4 | 32, "in": 2 | 32, "london": 4 | 8, "was": 32, "built": 32 | 64, "and": 16 | 32,
    },
}
WORDS = """the The he He it It smith Smith However however a A in In London was built and Dr. dr. U.S. u.s. e.g. St. Louis
Street J. Bach j. Inc. inc. Co ft. 5 5. 3.5 -1,000. 1. 2nd x. É. é. ß. _. 东京。 ½. ... .. … . ? ! ?! !? ." .) ?' :) , ; : - -- " ' `` '' ( ) [ ]
{ } can't cannot gonna wanna 'tis 'twas d'ye don't they're I'll O'Neil 's 'a ' 'x' "x" "The «x» ‘y’ “z” $5 50% A&B * well-known semi-st.
more'n gimme lemme gotta mor'n . . . . a.b. end. Yes. no. "No." (No.) it's. @x #y <z>""".split()
GAPS = [" "] * 12 + ["", "  ", "\n", "\t", " \n\n", "\u00a0", "\u2009"]


def texts(count):
    draw = random.Random(7)
    for _ in range(count):
        yield "".join(draw.choice(WORDS) + draw.choice(GAPS) for _ in range(draw.randint(0, 24)))


def main():
    parameters = PunktParameters()
    parameters.abbrev_types = set(MODEL["abbreviations"])
    parameters.collocations = {tuple(pair) for pair in MODEL["collocations"]}
    parameters.sent_starters = set(MODEL["starters"])
    parameters.ortho_context.update(MODEL["contexts"])
    punkt, rules = PunktSentenceTokenizer(parameters), NLTKWordTokenizer()
    cases = []
    for text in texts(400):
        sentences = punkt.tokenize(text)
        words = [word for sentence in sentences for word in rules.tokenize(sentence)]
        cases.append({"text": text, "sentences": sentences, "words": words})
    print(json.dumps({"model": MODEL, "cases": cases}, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
