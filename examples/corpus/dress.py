"""Dress plain article text as a MediaWiki XML export.

WikiExtractor removed the markup; this puts random markup back, as often as in real exports. The result is wrong as an
encyclopedia (categories, dates of edits, foreign titles and tables are guesses) but right as a language: from it, a model
learns where brackets, quotes, entities, headings and page headers come.

    python dress.py wiki.bin markup.bin [--limit BYTES] [--seed N]

It needs numpy, and takes about a minute on one core for 90 MB. The same input, seed and numpy give the same output.
"""

# The long lines are templates of text, which are easier to read unbroken.
# ruff: noqa: E501, SIM905

from __future__ import annotations

import argparse
import html
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

SEED = 18
DOC = re.compile(r'<doc id="(\d+)" url="[^"]*" title="([^"]*)">\n(.*?)\n</doc>', re.S)
MONTHS = "January February March April May June July August September October November December".split()
MONTH = "(?:" + "|".join(MONTHS) + ")"

# what may be marked up in a line, most specific first
BOLD_ON, BOLD_OFF = "\ue000", "\ue001"
CANDIDATE = re.compile(
    rf"(?P<bold>{BOLD_ON}[^{BOLD_OFF}]*{BOLD_OFF})"
    r"|(?P<token>\b(?:formula|codice)_\d+)"
    r"|(?P<foreign>[\u0370-\u06ff]{2,})"
    r"|(?P<compound>\b(?:CO|H|SO|NO|NH|CH|O|N|Al|Fe|C|Si)\d(?:[A-Z][a-z]?\d?)*\b)"
    rf"|(?P<date>{MONTH} \d{{1,2}}(?:, \d{{3,4}})?\b|\b\d{{1,2}} {MONTH}(?: \d{{3,4}})?\b)"
    r"|(?P<century>\b\d{1,2}(?:st|nd|rd|th) century\b)"
    r"|(?P<quote>\"[^\"\n]{1,200}\")"
    r"|(?P<year>\b1[0-9]{3}\b(?!s)|\b20[01][0-9]\b(?!s))"
    r"|(?P<name>[A-ZÀ-ÖØ-Þ][\w'’.-]*[\w](?: (?:of|the|of the|de|la|von|van|and|for|in) (?=[A-Z])| (?=[A-Z]))?"
    r"(?:[A-ZÀ-ÖØ-Þ][\w'’.-]*[\w](?: (?:of|the|of the|de|la|von|van) (?=[A-Z])| (?=[A-Z]))?){0,4})"
    r"|(?P<word>\b[a-z][a-z-]{3,}(?: [a-z][a-z-]{3,})?)"
    r"|(?P<dash> ?[–—] ?)"
    r"|(?P<unit>(?<=\d) (?:km|m|cm|mm|kg|ft|miles|mi|lb|°C|°F|MHz|GHz|hours|years|million|billion|percent)\b)"
    r"|(?P<square>[²³])"
    r"|(?P<accent>[éèöüäñçáíóø°·±×→αβγμπ−])"
)
SINGLE_STOP = frozenset(
    "The A An In On At It He She They We I This That These Those There Its His Her Their As By For From With When While After "
    "Before During Since Although Though However But And Or If Of To One Two Many Most Some Several All Other Another Both "
    "Each Such No Not Only Also Then Thus Therefore Because Under Over Between Among According Despite Within Without Until "
    "Today Later Early First Second Third Finally Furthermore Moreover Additionally Where What Who Which How Why You Your".split()
)
STOP = frozenset(
    "that with from have were been this which their also other some more most such than into only they when what there these "
    "those them then about after before between during would could should first second many much used each over under where "
    "while because since although however being both same different several often very well made make made known called "
    "later early being through against within without around among being until upon according including include includes "
    "became become began being took taken given gave does did will just like even still being another any every either "
    "neither your ours mine said says became large small great high long part parts number numbers time times year years "
    "people work works case cases form forms place example examples name names group groups main major various similar "
    "common certain able being years found general generally usually sometimes particular possible important due based".split()
)
ENTITY = {
    "é": "&eacute;", "è": "&egrave;", "ö": "&ouml;", "ü": "&uuml;", "ä": "&auml;", "ñ": "&ntilde;", "ç": "&ccedil;",
    "á": "&aacute;", "í": "&iacute;", "ó": "&oacute;", "ø": "&oslash;", "°": "&deg;", "·": "&middot;", "±": "&plusmn;",
    "×": "&times;", "→": "&rarr;", "α": "&alpha;", "β": "&beta;", "γ": "&gamma;", "μ": "&mu;", "π": "&pi;", "−": "&minus;",
    "²": "&sup2;", "³": "&sup3;",
}  # fmt: skip
DEMONYMS = dict(
    pair.split("=")
    for pair in (
        "British=United Kingdom,English=England,Scottish=Scotland,Welsh=Wales,Irish=Ireland,American=United States,French=France,"
        "German=Germany,Italian=Italy,Spanish=Spain,Portuguese=Portugal,Dutch=Netherlands,Belgian=Belgium,Swiss=Switzerland,"
        "Austrian=Austria,Polish=Poland,Czech=Czech Republic,Hungarian=Hungary,Romanian=Romania,Bulgarian=Bulgaria,Greek=Greece,"
        "Turkish=Turkey,Russian=Russia,Ukrainian=Ukraine,Swedish=Sweden,Norwegian=Norway,Danish=Denmark,Finnish=Finland,"
        "Canadian=Canada,Mexican=Mexico,Brazilian=Brazil,Argentine=Argentina,Chilean=Chile,Cuban=Cuba,Egyptian=Egypt,"
        "Israeli=Israel,Jewish=Jew,Iranian=Iran,Persian=Persia,Iraqi=Iraq,Indian=India,Pakistani=Pakistan,Chinese=China,"
        "Japanese=Japan,Korean=Korea,Vietnamese=Vietnam,Thai=Thailand,Indonesian=Indonesia,Australian=Australia,Arab=Arabs,"
        "Roman=Roman Empire,Soviet=Soviet Union,European=Europe,African=Africa,Asian=Asia,Christian=Christianity,"
        "Catholic=Catholicism,Protestant=Protestantism,Muslim=Islam,Buddhist=Buddhism,Hindu=Hinduism,U.S.=United States,"
        "US=United States,UK=United Kingdom,USSR=Soviet Union"
    ).split(",")
)
TONGUES = {
    "de": 36, "fr": 34, "es": 31, "pl": 31, "nl": 31, "sv": 29, "ja": 28, "pt": 28, "zh": 26, "fi": 26, "he": 26, "da": 26,
    "it": 26, "ru": 22, "no": 22, "eo": 21, "cs": 20, "ko": 20, "ca": 19, "bg": 18, "sl": 18, "hu": 17, "sk": 17, "id": 17,
    "lt": 17, "simple": 16, "tr": 15, "et": 15, "sr": 15, "ar": 14, "gl": 14, "nn": 13, "uk": 13, "hr": 13, "ro": 12, "th": 12,
    "la": 12, "io": 11, "bs": 10, "fa": 10, "is": 10, "lv": 10, "ms": 9, "vi": 9, "el": 9, "mk": 8, "af": 8, "ast": 8, "ia": 7,
    "sq": 7, "eu": 7, "cy": 7, "nds": 6, "ka": 6, "scn": 6, "ga": 5, "lb": 5, "hi": 5, "ta": 4, "oc": 4, "wa": 3, "fy": 3,
    "ku": 3, "ur": 2, "yi": 2, "zh-min-nan": 3, "tl": 5, "sw": 2, "br": 2, "mr": 2, "kn": 2, "te": 1, "bn": 2, "fo": 2,
}  # fmt: skip
SCRIPTS = {
    "cyrillic": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "а б в г д е з и и к л м н о п р с т у ф х к дж в кс к"),
    "greek": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "α μπ β γ δ ε ζ ι υ κ λ μ ν ο π ρ σ τ ου φ χ κ τζ ου ξ κ"),
    "hebrew": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "א ב ו ג ד  ז י י ק ל מ נ ו פ ר ס ט ו פ ה ק ג' ו קס ק"),
    "arabic": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "ا ب ف غ د ي ز ي ي ك ل م ن و ب ر س ت و ف ه ك ج و كس ق"),
    "thai": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "า บ ว ก ด เ ซ ิ ย ค ล ม น อ ป ร ส ต ุ ฟ ฮ ค จ ว กซ ค"),
    "georgian": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "ა ბ ვ გ დ ე ზ ი ი კ ლ მ ნ ო პ რ ს ტ უ ფ ჰ კ ჯ ვ ქს ქ"),
    "devanagari": ("a b v g d e z i y k l m n o p r s t u f h c j w x q", "ा ब व ग द े ज ि य क ल म न ो प र स त ु फ ह क ज व क्स क"),
}  # fmt: skip
SCRIPT_OF = {
    **dict.fromkeys(("ru", "bg", "uk", "sr", "mk"), "cyrillic"), "el": "greek", **dict.fromkeys(("he", "yi"), "hebrew"),
    **dict.fromkeys(("ar", "fa", "ur"), "arabic"), "th": "thai", "ka": "georgian", **dict.fromkeys(("hi", "mr"), "devanagari"),
}  # fmt: skip
TABLES = {
    name: dict(zip(latin.split(" "), native.split(" "), strict=True)) for name, (latin, native) in SCRIPTS.items()
}
KANA = {
    vowel + "": kana for vowel, kana in zip("aiueo", "アイウエオ", strict=True)
} | {
    consonant + vowel: row[at]
    for consonant, row in {
        "k": "カキクケコ", "c": "カシクセコ", "s": "サシスセソ", "t": "タティトゥテト".replace("ティ", "チ").replace("トゥ", "ツ"),
        "n": "ナニヌネノ", "h": "ハヒフヘホ", "m": "マミムメモ", "r": "ラリルレロ", "l": "ラリルレロ", "g": "ガギグゲゴ",
        "d": "ダヂヅデド", "b": "バビブベボ", "p": "パピプペポ", "z": "ザジズゼゾ", "v": "バビブベボ", "f": "ハヒフヘホ",
        "j": "ジジジュジェジョ"[:5], "w": "ワヰウヱヲ", "y": "ヤイユエヨ",
    }.items()
    for at, vowel in enumerate("aiueo")
}  # fmt: skip
CODA = {"k": "ク", "c": "ク", "s": "ス", "t": "ト", "n": "ン", "h": "ー", "m": "ム", "r": "ル", "l": "ル", "g": "グ", "d": "ド",
        "b": "ブ", "p": "プ", "z": "ズ", "v": "ブ", "f": "フ", "j": "ジ", "w": "ウ", "y": "イ", "x": "クス", "q": "ク"}  # fmt: skip
HAN = "亚阿埃艾安奥巴拜班贝本比波伯布查达丹德迪多恩尔法菲弗福戈格哈赫基加卡科克拉莱兰里利林卢罗马曼梅米莫纳尼诺帕佩普奇日萨塞斯塔泰特瓦维韦希西辛亚伊尤泽詹学史国家人物语言文化地理城市历史科"
ENDINGS = {
    "de": [("ia", "ien"), ("y", "ie"), ("ics", "ik"), ("ism", "ismus"), ("c", "k")],
    "fr": [("ia", "ie"), ("y", "ie"), ("ism", "isme"), ("ics", "ique")],
    "es": [("y", "ía"), ("ism", "ismo"), ("tion", "ción"), ("ics", "ica"), ("ph", "f")],
    "it": [("y", "ia"), ("ism", "ismo"), ("tion", "zione"), ("ics", "ica"), ("ph", "f")],
    "pt": [("y", "ia"), ("ism", "ismo"), ("tion", "ção"), ("ics", "ica"), ("ph", "f")],
    "nl": [("ia", "ië"), ("y", "ie"), ("ism", "isme"), ("c", "k")],
    "sv": [("ia", "ien"), ("y", "i"), ("ism", "ism"), ("c", "k"), ("ph", "f")],
    "da": [("ia", "ien"), ("y", "i"), ("ism", "isme"), ("c", "k"), ("ph", "f")],
    "no": [("ia", "ia"), ("y", "i"), ("ism", "isme"), ("c", "k"), ("ph", "f")],
    "pl": [("ia", "ia"), ("y", "ia"), ("ism", "izm"), ("c", "k"), ("v", "w"), ("ph", "f")],
    "cs": [("ia", "ie"), ("y", "ie"), ("ism", "ismus"), ("c", "k"), ("ph", "f")],
    "fi": [("ia", "ia"), ("y", "ia"), ("ism", "ismi"), ("c", "k"), ("ph", "f")],
    "eo": [("ia", "io"), ("y", "io"), ("ism", "ismo"), ("c", "k"), ("ph", "f"), ("n", "no")],
    "hu": [("ia", "ia"), ("y", "ia"), ("ism", "izmus"), ("c", "k")],
    "tr": [("ia", "ya"), ("y", "i"), ("ism", "izm"), ("c", "k")],
    "lt": [("ia", "ija"), ("y", "ija"), ("ism", "izmas"), ("n", "nas"), ("r", "ras")],
    "lv": [("ia", "ija"), ("y", "ija"), ("ism", "isms"), ("n", "ns")],
    "ca": [("y", "ia"), ("ism", "isme"), ("tion", "ció")],
    "ro": [("y", "ie"), ("ism", "ism"), ("tion", "ție")],
}
ENDINGS["sk"] = ENDINGS["cs"]
ENDINGS["nn"] = ENDINGS["no"]
ENDINGS["gl"] = ENDINGS["es"]
SYLLABLES = (
    "an ar be bo ca da de di do el en er fa fi ga ge ha he in is ja jo ka ki la le li lo ma me mi mo na ne ni no ol or pa pe ra re "
    "ri ro sa se sh si so ta te th ti to ul ur va ve wa we wi ya zo"
).split()
FIRST = "James John Robert Michael William David Richard Charles Joseph Thomas Mary Anna Peter Paul Mark George Edward Alan".split()
PUBLISHERS = (
    "Oxford University Press,Cambridge University Press,Penguin Books,Harvard University Press,Random House,Routledge,"
    "University of Chicago Press,Princeton University Press,Macmillan,HarperCollins,W. W. Norton,Yale University Press,"
    "Simon & Schuster,Springer,Dover Publications,MIT Press,Faber and Faber,Blackwell,Greenwood Press,Wiley"
).split(",")
HOSTS = "www.{w}.com www.{w}.org www.{w}.net {w}.org www.{w}.edu www.{w}.gov www.{w}.co.uk www.{w}.de news.{w}.com en.{w}.org".split()


class Dice:
    """Random choices from one numpy Generator, drawn in blocks for speed."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._block: list[float] = []

    def uniform(self) -> float:
        """Return a number in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(8192).tolist()
        return self._block.pop()

    def chance(self, probability: float) -> bool:
        """Return True with `probability`."""
        return self.uniform() < probability

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return int(self.uniform() * bound)

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + int(self.uniform() * (high - low + 1))

    def pick(self, options):
        """Return one element of a sequence."""
        return options[int(self.uniform() * len(options))]

    def few(self, mean: float) -> int:
        """Return a count from a geometric distribution with this mean."""
        return int(np.log(1.0 - self.uniform()) / np.log(mean / (1.0 + mean))) if mean > 0 else 0

    def word(self) -> str:
        """Return a made-up word."""
        return "".join(self.pick(SYLLABLES) for _ in range(self.between(2, 4)))


class Terms:
    """What may be linked: the titles of all pages, words typical of few pages, and collocations."""

    def __init__(self, pages: list[tuple[int, str, str]]) -> None:
        self.titles = {title: title for _, title, _ in pages}
        for title in list(self.titles):
            if len(title) > 3:
                self.titles.setdefault(title[0].lower() + title[1:], title)
            bare = re.sub(r" \(.*\)$", "", title)
            if bare != title and len(bare) > 2:
                self.titles.setdefault(bare, title)
        self.words, self.pairs = self._clinging([text for _, _, text in pages])

    @staticmethod
    def _clinging(texts: list[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Return words that are frequent in few pages, and pairs that occur far more often than by chance."""
        total: Counter[str] = Counter()
        holding: Counter[str] = Counter()
        pairs: Counter[str] = Counter()
        for text in texts[::4]:
            words = re.findall(r"[a-z]{4,}(?: [a-z]{4,})?", text)
            singles = [part for word in words for part in word.split(" ")]
            total.update(singles)
            holding.update(set(singles))
            pairs.update(word for word in words if " " in word)
        everything = sum(total.values())
        words = frozenset(
            word for word, count in total.items()
            if count >= 8 and holding[word] <= 220 and count / holding[word] > 1.75 and word not in STOP
            and not word.endswith(("ly", "ing", "ed"))
        )  # fmt: skip
        clinging = frozenset(
            pair for pair, count in pairs.items()
            if count >= 5 and count * everything > 60 * total[pair.split(" ")[0]] * total[pair.split(" ")[1]]
            and not STOP & set(pair.split(" ")) and not pair.endswith(("ly", "ing", "ed"))
        )  # fmt: skip
        return words, clinging


def escape(text: str) -> str:
    """Return `text` as character data of a dump: & < > and the double quote as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def transliterated(title: str, tongue: str, dice: Dice) -> str:
    """Return a guess at a title in another language: transliterated, or with another ending."""
    lower = title.lower()
    if tongue in SCRIPT_OF:
        table = TABLES[SCRIPT_OF[tongue]]
        text = "".join(
            table.get(letter, letter if letter in " -0123456789()," else "") for letter in lower.replace("ph", "f")
        )
        return (
            " ".join(word.capitalize() for word in text.split())
            if tongue in ("ru", "bg", "uk", "sr", "mk", "el")
            else text
        )
    if tongue == "ja":
        text = ""
        at = 0
        while at < len(lower):
            if lower[at : at + 2] in KANA:
                text += KANA[lower[at : at + 2]]
                at += 2
            else:
                text += KANA.get(lower[at]) or CODA.get(lower[at], "・" if lower[at] == " " else "")
                at += 1
        return text
    if tongue in ("zh", "ko", "ta", "kn", "te", "bn"):
        start, count = {
            "ko": (0xAC00, 11172),
            "ta": (0xB85, 50),
            "kn": (0xC85, 50),
            "te": (0xC05, 50),
            "bn": (0x985, 50),
        }.get(tongue, (0, 0))
        syllables = max(2, len(lower) // 3)
        seed = [ord(letter) for letter in lower]
        if tongue == "zh":
            return "".join(HAN[sum(seed[at::syllables]) * 7 % len(HAN)] for at in range(syllables))
        return "".join(chr(start + sum(seed[at::syllables]) * 131 % count) for at in range(syllables))
    if dice.chance(0.55):
        for old, new in ENDINGS.get(tongue, ()):
            if title.endswith(old):
                title = title[: len(title) - len(old)] + new
                break
    return title


class Page:
    """The markup of one article. `old` pages look like an export of 2006, others like one of ten years later."""

    def __init__(self, number: int, title: str, text: str, terms: Terms, dice: Dice, old: bool) -> None:
        self.number, self.title, self.terms, self.dice, self.old = number, title, terms, dice, old
        self.lines = self._cleaned(text).split("\n")
        self.linked: set[str] = set()
        self.names: dict[str, str] = {}
        self.phrases: list[str] = []
        self.keen = min(1.4, max(0.35, 0.9 + 0.5 * (dice.uniform() + dice.uniform() - 1.0) * 1.6)) * (
            1.0 if old else 0.62
        )
        self.date_links = old and dice.chance(0.85)
        self.entities = dice.pick((0.9, 0.5, 0.1, 0.0))
        self.tight = dice.chance(0.42)
        self.star = dice.pick(("* ", "*", "*")) if old else "* "
        self.italics = dice.uniform()
        self.numeric = old and dice.chance(0.5)
        self.labels = dice.pick((0.0, 0.0, 0.02, 0.06, 0.25))
        self.notes = 0
        self.refs = 0.0 if old and dice.chance(0.9) else (0.06 if old else 0.42)

    @staticmethod
    def _cleaned(text: str) -> str:
        """Remove what WikiExtractor left of the templates that it dropped."""
        text = re.sub(r"\((?:[\])]|[ ,;])*[,;\])] *(?=[^\s)])", "(", text)
        text = re.sub(r" ?\([\s,;\]]*\)", "", text)
        return re.sub(r" +([,;.])", r"\1", text)

    # -- phrases within a line ------------------------------------------------------------------------------------

    def link(self, target: str, label: str | None = None) -> str:
        """Return a link to `target`, with `label` if that differs."""
        self.linked.add(target)
        if label is None or label == target:
            return f"[[{target}]]"
        if label.startswith(target) and re.fullmatch(r"[a-z]{1,4}", label[len(target) :]):
            return f"[[{target}]]{label[len(target) :]}"
        return f"[[{target}|{label}]]"

    def _candidate(self, match: re.Match[str]) -> str:
        kind, text = match.lastgroup, match[0]
        return getattr(self, "_" + kind)(text) if kind else text

    def _bold(self, text: str) -> str:
        return text

    def _foreign(self, text: str) -> str:
        return "".join(f"&#{ord(letter)};" for letter in text) if self.numeric else text

    def _compound(self, text: str) -> str:
        return re.sub(r"\d", lambda found: f"<sub>{found[0]}</sub>", text) if self.dice.chance(0.8) else text

    def _date(self, text: str) -> str:
        if not self.date_links or self.dice.chance(0.1):
            return text
        day, comma, year = text.partition(", ")
        if comma:
            return f"[[{day}]], [[{year}]]"
        parts = text.split(" ")
        if len(parts) == 3:
            return f"[[{parts[0]} {parts[1]}]] [[{parts[2]}]]"
        return f"[[{text}]]"

    def _century(self, text: str) -> str:
        return self.link(text) if text not in self.linked and self.dice.chance(0.45 * self.keen) else text

    def _year(self, text: str) -> str:
        if self.date_links and self.dice.chance(0.34 if text not in self.linked else 0.12):
            return self.link(text)
        return text

    def _quote(self, text: str) -> str:
        inside = text[1:-1]
        titled = inside[:1].isupper() or len(inside.split(" ")) <= 2
        marked = CANDIDATE.sub(self._candidate, inside) if len(inside) > 60 else inside
        if self.dice.chance(0.72 if titled and len(inside) < 60 else 0.25):
            if titled and len(inside) < 45 and inside not in self.linked and self.dice.chance(0.3 * self.keen):
                return "''" + self.link(inside if self.dice.chance(0.85) else f"{inside} (film)", inside) + "''"
            return f"''{marked}''"
        return f'"{marked}"'

    def _name(self, text: str) -> str:
        dice, tail = self.dice, ""
        while text.endswith((" ", ".", "'")):
            text, tail = text[:-1], text[-1] + tail
        words = text.split(" ")
        lead = ""
        if words[0] in SINGLE_STOP:
            lead, words = words[0], words[1:]
            if not words:
                return text + tail
            lead, text = lead + " ", " ".join(words)
        if text == self.title:
            return lead + text + tail
        again = 0.12 if text in self.linked else 1.0
        if text in DEMONYMS and dice.chance(0.3 * again * self.keen):
            self.linked.add(text)
            return lead + self.link(DEMONYMS[text], text) + tail
        target = self.terms.titles.get(text)
        if target and target != self.title:
            self.phrases.append(target)
            if dice.chance(0.78 * again * self.keen):
                self.linked.add(text)
                return lead + self.link(target, text) + tail
        elif len(words) > 1 or len(text) > 4:
            if len(words) > 1:
                self.names.setdefault(words[-1], text)
                self.phrases.append(text)
            elif text in self.names and self.names[text] not in self.linked and dice.chance(0.3 * self.keen):
                return lead + self.link(self.names[text], text) + tail
            if dice.chance((0.55 if len(words) > 1 else 0.25) * again * self.keen):
                self.linked.add(text)
                roll = dice.uniform()
                if roll < 0.12:
                    return (
                        lead
                        + self.link(
                            f"{text} ({dice.pick(('disambiguation', 'city', 'film', 'band', 'novel', 'ship', 'album', 'song', 'book', 'mythology', 'person', 'state', 'programming language'))})",
                            text,
                        )
                        + tail
                    )
                if roll < 0.2 and len(words) > 1:
                    return lead + self.link(text, words[-1]) + tail
                if roll < 0.27:
                    more = dice.pick(
                        (
                            f"{dice.pick(FIRST)} {text}",
                            f"{text} of {self.subject()}",
                            f"History of {text}",
                            f"{text} language",
                            f"{text}, {self.subject()}",
                        )
                    )
                    return lead + self.link(more, text) + tail
                if roll < 0.3:
                    return lead + self.link(text.replace(" ", "_"), text) + tail
                return lead + self.link(text) + tail
        return lead + text + tail

    def _word(self, text: str) -> str:
        linked, dice, terms = self.linked, self.dice, self.terms
        if " " in text:
            if text in terms.pairs or text in terms.titles:
                if text not in linked and dice.chance(0.6 * self.keen):
                    return self._common(text)
                return text
            first, second = text.split(" ")
            if first in terms.words or first in terms.titles or second in terms.words or second in terms.titles:
                return f"{self._single(first)} {self._single(second)}"
            return text
        return self._single(text)

    def _single(self, text: str) -> str:
        if text in self.linked or text in STOP:
            return text
        stem = text[:-1] if text.endswith("s") and not text.endswith("ss") else text
        if text in self.terms.titles or text in self.terms.words:
            if self.dice.chance(0.5 * self.keen):
                return self._common(text)
        elif stem in self.terms.titles and self.dice.chance(0.5 * self.keen):
            self.linked.add(text)
            return self.link(stem, text)
        return text

    def _common(self, text: str) -> str:
        self.linked.add(text)
        if text.endswith("ies") and self.dice.chance(0.6):
            return self.link(text[:-3] + "y", text)
        if text.endswith("s") and not text.endswith(("ss", "us", "is")) and self.dice.chance(0.7):
            return self.link(text[:-1], text)
        target = self.terms.titles.get(text, text)
        if self.dice.chance(0.14):
            return self.link(
                self.dice.pick(
                    (
                        f"{text} ({self.dice.pick(('biology', 'physics', 'mathematics', 'music', 'law', 'computing', 'philosophy'))})",
                        f"{text.capitalize()}",
                        f"{self.subject()} {text}",
                        f"{text} theory",
                        f"History of {text}",
                    )
                ),
                text,
            )
        return self.link(target, text) if target.lower() != text.lower() else self.link(text)

    def _dash(self, text: str) -> str:
        if self.old and self.dice.chance(0.75):
            wide = " " if " " in text else ""
            if "—" in text:
                return self.dice.pick((" &mdash; ", "&mdash;", " - ", "--", " &#8212; "))
            return wide + self.dice.pick(("-", "&ndash;", "-", "&ndash;", "&#8211;")) + wide
        return text

    def _unit(self, text: str) -> str:
        return "&nbsp;" + text[1:] if self.dice.chance(0.6) else text

    def _token(self, text: str) -> str:
        if text.startswith("codice"):
            tag = self.dice.pick(("code", "tt"))
            return f"<{tag}>{self.dice.word()}{self.dice.pick(('()', '', '.' + self.dice.word(), ' = 0'))}</{tag}>"
        return f"<math>{self.formula()}</math>"

    def _square(self, text: str) -> str:
        roll = self.dice.uniform()
        return ENTITY[text] if roll < 0.45 else f"<sup>{'2' if text == '²' else '3'}</sup>" if roll < 0.8 else text

    def _accent(self, text: str) -> str:
        return ENTITY[text] if self.old and self.dice.chance(0.3 * self.entities) else text

    def formula(self) -> str:
        """Return a small formula in TeX."""
        dice = self.dice

        def letter() -> str:
            if dice.chance(0.8):
                return dice.pick("xyzabcnkmtpqfgh")
            return dice.pick(("\\alpha", "\\beta", "\\theta", "\\lambda"))

        forms: tuple[Callable[[], str], ...] = (
            lambda: f"{letter()} = {letter()}^{dice.between(2, 4)} + {letter()}",
            lambda: f"\\frac{{{letter()}}}{{{letter()} + {dice.between(1, 9)}}}",
            lambda: f"{letter()}_{{{dice.pick('ijkn')}}}",
            lambda: f"{letter()}({letter()})",
            lambda: f"\\sum_{{{dice.pick('ijkn')}=1}}^{{{dice.pick('nNm')}}} {letter()}_{dice.pick('ijkn')}",
            lambda: f"\\int_{{0}}^{{\\infty}} {letter()}({letter()})\\,d{dice.pick('xyt')}",
            letter,
            lambda: f"{letter()} \\in {dice.pick(('A', 'B', 'X', chr(92) + 'mathbb{R}'))}",
        )
        return dice.pick(forms)()

    # -- lines and blocks ------------------------------------------------------------------------------------------

    def paragraph(self, line: str) -> str:
        """Return one line of prose with its links, quotes, dashes and references."""
        marked = CANDIDATE.sub(self._candidate, line).replace(BOLD_ON, "'''").replace(BOLD_OFF, "'''")
        if self.refs and "." in marked:
            parts = re.split(r"(?<=[a-z\])][.,]) (?=[A-Z\[])", marked)
            for at, part in enumerate(parts):
                if self.dice.chance(self.refs):
                    parts[at] = part + self.reference()
            marked = " ".join(parts)
        elif self.dice.chance(0.05):
            marked += f" [{self.address()}]" if self.dice.chance(0.6) else f" [{self.address()} {self.subject()}]"
        elif self.dice.chance(0.03):
            self.notes += 1
            marked += f"{{{{{self.dice.pick(('ref', 'ref', 'note', 'fn', 'ref|' + self.dice.word()))}|{self.dice.pick((self.dice.word(), str(self.notes)))}}}}}"
        if self.old and self.dice.chance(0.06):
            marked = marked.replace(". ", ".  ")
        return marked

    def labelled(self, line: str) -> str:
        """Return a line of prose that begins in bold, as a definition does: with its own first words or a phrase added."""
        roll = self.dice.uniform()
        if roll < 0.35:
            return (
                f"'''{self.subject()}'''{self.dice.pick((': ', ' - ', ' &ndash; ', ', ', ' '))}{self.paragraph(line)}"
            )
        found = re.match(r"(?:The |An? )?((?:[\w-]+ ){0,2}[\w-]+)", line)
        if roll < 0.7 and found:
            mark = self.dice.pick((("'''", "'''"), ("'''", ":'''"), ("''", "''")))
            return f"{mark[0]}{found[0]}{mark[1]}{self.paragraph(line[found.end() :])}"
        return self.paragraph(line)

    def person(self) -> str:
        """Return "Surname, F." from a name in the article, or made up."""
        if self.names and self.dice.chance(0.5):
            last = self.dice.pick(list(self.names))
            return f"{last}, {self.names[last].split(' ')[0]}"
        return f"{self.dice.word().capitalize()}, {self.dice.pick(FIRST)}"

    def subject(self) -> str:
        """Return a phrase of the article, or its title."""
        return self.dice.pick(self.phrases) if self.phrases and self.dice.chance(0.75) else self.title

    def address(self) -> str:
        """Return a made-up URL."""
        dice = self.dice
        host = dice.pick(HOSTS).format(w=dice.word())
        words = re.findall(r"\w+", self.subject().lower()) or ["index"]
        path = dice.pick(
            ("", "/", "/index.html", f"/{words[0]}.html", f"/~{dice.word()}/{words[-1]}.htm", f"/{words[0]}/{dice.word()}/",
             f"/articles/{dice.between(1990, 2005)}/{dice.between(1, 12):02}/{dice.between(1, 28):02}/{'-'.join(words)}.html",
             f"/{dice.word()}/{words[0]}.php?id={dice.between(1, 9999)}", f"/cgi-bin/{dice.word()}?{words[0]}")
        )  # fmt: skip
        return f"http://{host}{path}"

    def publication(self) -> str:
        """Return author, title, publisher and year in one of the usual orders."""
        dice, year = self.dice, self.dice.between(1920, 2005 if self.old else 2014)
        title, house = f"The {self.subject()}" if dice.chance(0.3) else self.subject(), dice.pick(PUBLISHERS)
        isbn = f"ISBN 0{dice.between(1000, 9999)}{dice.between(10000, 99999)}" if dice.chance(0.4) else ""
        roll = dice.uniform()
        if roll < 0.4:
            return f"{self.person()} ({year}). ''{title}''. {house}." + (f" {isbn}." if isbn else "")
        if roll < 0.7:
            return f"{self.person()}, ''{title}'', {house}, {year}" + (f", {isbn}" if isbn else "")
        return f"{self.person()}. ''{title}: {self.subject()}''. {house}, {year}. {isbn}".rstrip()

    def citation(self) -> str:
        """Return a {{cite ...}} template."""
        dice, year = self.dice, self.dice.between(1960, 2006 if self.old else 2015)
        kind = dice.pick(("web", "book", "news", "journal", "web", "book"))
        last, first = self.person().split(", ", 1)
        author = dice.pick((f"last={last}|first={first}", f"author={first} {last}", f"last1={last}|first1={first}"))
        parts = [f"title={self.subject()}"]
        if kind != "web" or dice.chance(0.4):
            parts.insert(0, author)
        if kind in ("web", "news") or dice.chance(0.3):
            parts.append(f"url={self.address()}")
        if kind == "book":
            parts += [f"publisher={dice.pick(PUBLISHERS)}", f"year={year}"]
            parts += [
                f"isbn=978-{dice.between(0, 1)}-{dice.between(10, 9999)}-{dice.between(1000, 9999)}-{dice.below(10)}"
            ] * dice.chance(0.5)
            parts += [f"page{dice.pick(('s', ''))}={dice.between(1, 300)}"] * dice.chance(0.5)
        elif kind == "journal":
            parts += [
                f"journal={self.subject()}",
                f"volume={dice.between(1, 400)}",
                f"issue={dice.between(1, 12)}",
                f"year={year}",
            ]
            parts += [f"pages={dice.between(1, 200)}–{dice.between(201, 400)}"] + [
                f"doi=10.{dice.between(1000, 1999)}/{dice.word()}.{year}"
            ] * dice.chance(0.5)
        else:
            parts += [dice.pick((f"publisher={dice.word().capitalize()}", f"work={dice.word().capitalize()} News"))]
            parts += [f"date={dice.pick(MONTHS)} {dice.between(1, 28)}, {year}"] * dice.chance(0.7)
            parts += [
                f"accessdate={dice.pick(MONTHS)} {dice.between(1, 28)}, {dice.between(2006, 2016)}"
            ] * dice.chance(0.7)
        joint = dice.pick(("|", " |", " | ", "|"))
        spaced = dice.chance(0.3)
        if spaced:
            parts = [part.replace("=", " = ", 1) for part in parts]
        return f"{{{{{dice.pick(('c', 'c', 'C'))}ite {kind}{joint}{joint.join(parts)}}}}}"

    def reference(self) -> str:
        """Return a footnote in the style of the page's age."""
        dice = self.dice
        if dice.chance(0.25):
            return (
                f'<ref name="{dice.pick((self.person().split(",")[0], dice.word()))}"/>'
                if dice.chance(0.7)
                else f"<ref name={dice.word()} />"
            )
        name = f' name="{self.person().split(",")[0]}"' if dice.chance(0.25) else ""
        roll = dice.uniform()
        if roll < (0.25 if self.old else 0.75):
            return f"<ref{name}>{self.citation()}</ref>"
        if roll < 0.85:
            return f"<ref{name}>{self.publication()}</ref>"
        return f"<ref{name}>[{self.address()} {self.subject()}]</ref>"

    def image(self) -> str:
        """Return an image line with its caption."""
        dice = self.dice
        label = self.subject()
        name = label if dice.chance(0.5) else label.replace(" ", "_") if dice.chance(0.6) else label.replace(" ", "")
        file = (
            name
            + dice.pick(("", "", "", "2", " map", "_1", f" {dice.between(1850, 2005)}"))
            + dice.pick((".jpg", ".jpg", ".jpg", ".png", ".gif", ".JPG"))
        )
        options = [
            option
            for option in (
                "thumb",
                dice.pick(("right", "left", "right", "")),
                f"{dice.pick((100, 120, 150, 180, 200, 220, 250, 300, 350))}px",
            )
            if option and dice.chance(0.8)
        ]
        if dice.chance(0.3):
            options.reverse()
        caption = (
            label
            if dice.chance(0.4)
            else f"{self.link(label)} in {dice.between(1800, 2005)}"
            if dice.chance(0.5)
            else f"The {label}"
        )
        return f"[[{'Image' if self.old else dice.pick(('File', 'File', 'Image'))}:{file}|{'|'.join([*options, caption])}]]"

    def heading(self, text: str, level: int) -> str:
        """Return a heading line."""
        bars = "=" * level
        return f"{bars}{text}{bars}" if self.tight else f"{bars} {text} {bars}"

    def infobox(self) -> str:
        """Return a template of named fields, or a table in the older style."""
        dice = self.dice
        if self.old and dice.chance(0.4):
            return self.table(dice.between(3, 9), 2)
        keys = dice.pick(
            ("name image caption birth_date birth_place death_date death_place occupation spouse nationality",
             "name native_name official_name settlement_type image_skyline subdivision_type subdivision_name leader_title "
             "leader_name area_total_km2 population_total population_as_of timezone website",
             "name color image regnum phylum classis ordo familia genus species binomial",
             "name director producer writer starring music distributor released runtime country language budget",
             "Name Background Origin Genre Years_active Label URL Current_members",
             "name developer latest_release_version operating_system genre license website",
             "conflict partof date place result combatant1 combatant2 commander1 commander2 strength1 strength2 casualties1")
        ).split()  # fmt: skip
        kind = dice.pick(("Infobox Biography", "Infobox City", "Taxobox", "Infobox Film", "Infobox Band", "Infobox Software", "Infobox Military Conflict",
                          "Infobox person", "Infobox settlement", "Infobox country", "Infobox Company"))  # fmt: skip
        width = max(map(len, keys)) if dice.chance(0.6) else 0
        lines = [f"{{{{{kind}"]
        bar = dice.pick(("| ", "|", " | "))
        for key in keys:
            if dice.chance(0.8):
                lines.append(f"{bar}{key:{width}} = {self.value(key)}".rstrip())
        return "\n".join([*lines, "}}"])

    def value(self, key: str) -> str:
        """Return something that might stand in a field."""
        dice = self.dice
        if "name" in key.lower() and dice.chance(0.5):
            return self.title
        if "date" in key or key in ("released",):
            day = f"{dice.pick(MONTHS)} {dice.between(1, 28)}"
            return (
                f"[[{day}]], [[{dice.between(1500, 2005)}]]"
                if self.old
                else f"{{{{birth date|{dice.between(1500, 2005)}|{dice.between(1, 12)}|{dice.between(1, 28)}}}}}"
            )
        if "population" in key or "strength" in key or "casualties" in key or "area" in key:
            return f"{dice.between(1, 999)},{dice.below(1000):03}"
        if "image" in key:
            return f"{self.title}.jpg"
        if dice.chance(0.15):
            return ""
        label = self.subject()
        return (
            f"[[{label}]]" + (f"<br>[[{self.subject()}]]" if dice.chance(0.15) else "") if dice.chance(0.75) else label
        )

    def table(self, rows: int, columns: int) -> str:
        """Return a wiki table."""
        dice = self.dice
        opening = dice.pick(
            ('{| class="wikitable"', '{| border="1" cellpadding="5" cellspacing="0"', '{| border=1 cellpadding=4 cellspacing=0', "{|",
             '{| align="right" border="1" cellpadding="2" cellspacing="0" width="300"', '{| class="wikitable sortable"',
             '{| cellpadding="2" style="float:right; margin:0 0 1em 1em; width:300px;" class="toccolours"')
        )  # fmt: skip
        lines = [opening]
        if dice.chance(0.4):
            lines.append(
                f"|+ {self.subject()}"
                if dice.chance(0.5)
                else f'! colspan="{columns}" style="background:#{dice.pick(("ccccff", "efefef", "ccc"))};" | {self.subject()}'
            )
            lines.append("|-")
        mark = dice.pick(("|-", "|-----", '|- align="center"', "|-"))
        wide = dice.chance(0.55)
        kinds = [dice.below(4) for _ in range(columns)]
        space = dice.pick((" ", " ", ""))
        if columns > 2 or dice.chance(0.3):
            heads = [
                dice.pick(("Name", "Year", "Date", "Population", "Area", "Title", "Notes", "Country", "Rank", "Result"))
                for _ in kinds
            ]
            lines += [f"!{space}" + f"{space}!!{space}".join(heads)] if wide else [f"!{space}{head}" for head in heads]
            lines.append(mark)
        year = dice.between(1900, 1990)
        for row in range(rows):
            cells = [
                (
                    str(year + row),
                    f"{dice.between(1, 999)},{dice.below(1000):03}",
                    f"[[{self.subject()}]]",
                    self.subject(),
                )[kind]
                for kind in kinds
            ]
            if columns == 2:
                cells[0] = dice.pick(
                    (
                        "'''Capital'''",
                        "Population",
                        "Area",
                        "'''Language'''",
                        "[[Currency]]",
                        "Founded",
                        "'''[[Time zone]]'''",
                        cells[0],
                    )
                )
            lines += [f"|{space}" + f"{space}||{space}".join(cells)] if wide else [f"|{space}{cell}" for cell in cells]
            if row < rows - 1:
                lines.append(mark)
        return "\n".join([*lines, "|}"])

    def sentences(self, line: str) -> list[str]:
        """Return a paragraph's sentences."""
        return re.split(r"(?<=[a-z)\"][.!?]) (?=[A-Z\"])", line)

    def body(self) -> str:
        """Return the article's wiki text."""
        dice = self.dice
        blocks: list[str] = []
        lines = [line for line in self.lines if line.strip()]
        lines = lines[1:] if lines and lines[0] == self.title else lines
        if dice.chance(0.16):
            bare = re.sub(r" \(.*\)$", "", self.title)
            blocks.append(dice.pick((":''For other uses, see [[%s (disambiguation)]].''", "{{otheruses}}", "{{otheruses4|%s}}", "{{dablink|For other uses, see [[%s (disambiguation)]]}}",
                                     ":''This article is about %s. For other uses, see [[%s (disambiguation)]].''", "{{for|other uses|%s (disambiguation)}}")).replace("%s", bare))  # fmt: skip
        if not self.old:
            blocks += [
                f"{{{{{dice.pick(('Use dmy dates', 'Use mdy dates', 'Use British English', 'refimprove'))}|date={dice.pick(MONTHS)} {dice.between(2009, 2016)}}}}}"
            ] * dice.chance(0.6)
        top = len(blocks)
        level, first, fresh, after_heading = 2, True, True, False
        for at, line in enumerate(lines):
            short = (
                len(line) < 60
                and line.endswith(".")
                and not first
                and at + 1 < len(lines)
                and not re.search(r"[,;:] |\bis\b|\bwas\b", line)
            )
            if short:
                if fresh:
                    level = min(4, level + 1)
                elif level > 2 and dice.chance(0.4):
                    level -= 1
                if after_heading is False and at and level > 3:
                    level = 3
                blocks.append(self.heading(line[:-1], level))
                if dice.chance(0.08):
                    main = self.subject()
                    blocks.append(
                        dice.pick(
                            (
                                "{{main|%s}}",
                                "''Main article: [[%s]]''",
                                ":''Main article: [[%s]]''",
                                "{{details|%s}}",
                                "{{seealso|%s}}",
                            )
                        )
                        % main
                    )
                fresh, after_heading = True, True
                continue
            fresh = False
            if first:
                line = self._titled(line)
                if BOLD_ON not in line:
                    line = f"{BOLD_ON}{self.title}{BOLD_OFF} — {line}" if dice.chance(0.2) else line
                first = False
            parts = self.sentences(line) if dice.chance(0.15) else []
            if len(parts) >= 3 and len(line) < 1500:
                mark = dice.pick((self.star, self.star, self.star, "# ", ": "))
                blocks.append("\n".join(mark + self.labelled(part) for part in parts))
            else:
                blocks.append(self.labelled(line) if dice.chance(self.labels) else self.paragraph(line))
            if dice.chance(0.05):
                blocks.append(self.image())
            if dice.chance(0.02):
                blocks.append(self.table(dice.between(2, 9), dice.between(2, 5)))
            if dice.chance(0.07) and len(self.phrases) > 8:
                blocks.append(self.name_list(dice.between(3, 16)))
            if dice.chance(0.015):
                blocks.append(
                    f"<!-- {dice.pick(('Please do not add', 'See the talk page before', 'Unsourced:', 'Image with unknown copyright status removed:'))} {self.subject()} -->"
                )
        opening = []
        if dice.chance(0.22 if self.old else 0.6):
            opening.append(self.infobox())
        if dice.chance(0.22):
            opening.append(self.image())
        blocks[top:top] = opening
        return self._joined(blocks) + self.closing()

    def _titled(self, line: str) -> str:
        bare = re.sub(r" \(.*\)$", "", self.title)
        for name in (self.title, bare, bare[:1].lower() + bare[1:]):
            if name and name in line:
                return line.replace(name, f"{BOLD_ON}{name}{BOLD_OFF}", 1)
        # a person's page often opens with the whole name: bold the words before the bracket
        found = re.match(r"((?:[A-Z][\w.'-]* ?){1,5})(?=\(|, | was | is )", line)
        return (
            f"{BOLD_ON}{found[1].strip()}{BOLD_OFF}{line[len(found[1].rstrip()) :]}"
            if found and len(found[1]) > 3
            else line
        )

    def _joined(self, blocks: list[str]) -> str:
        """Join blocks by blank lines; on some pages, headings stand right above their text."""
        text = ""
        for at, block in enumerate(blocks):
            if at:
                close = (
                    (blocks[at - 1].startswith("=") and self.tight)
                    or blocks[at - 1].startswith(("{{", "[[Image", "[[File"))
                    or (block.startswith("[[Image") and self.dice.chance(0.3))
                )
                text += "\n" if close else "\n\n"
            text += block
        return text

    def name_list(self, count: int) -> str:
        """Return a list of linked phrases of the article, with years or remarks."""
        dice = self.dice
        style = dice.below(4)
        year, lines = dice.between(1400, 1960), []
        for label in dict.fromkeys(self.subject() for _ in range(count)):
            year += dice.between(0, 12)
            if style == 0:
                lines.append(
                    f"{self.star}[[{year}]] - [[{label}]]" + (f", {self.subject()}" if dice.chance(0.4) else "")
                )
            elif style == 1:
                lines.append(
                    f"{self.star}[[{label}]]"
                    + (f" ([[{year}]]-[[{year + dice.between(30, 80)}]])" if dice.chance(0.6) else "")
                )
            elif style == 2:
                lines.append(f"{self.star}''[[{label}]]'' ([[{min(year, 2005)}]])")
            else:
                lines.append(f"{self.star}[[{label}]]" + (f" - {self.subject()}" if dice.chance(0.5) else ""))
        return "\n".join(lines)

    def closing(self) -> str:
        """Return what follows the text: see also, references, links, categories, other languages."""
        dice = self.dice
        out = ""
        if dice.chance(0.6):
            names = dict.fromkeys(self.subject() for _ in range(2 + dice.few(9)))
            out += f"\n\n{self.heading('See also', 2)}\n" + "\n".join(f"{self.star}[[{name}]]" for name in names)
        if dice.chance(0.42):
            out += f"\n\n{self.heading(dice.pick(('References', 'Further reading', 'Bibliography', 'Literature', 'Sources')), 2)}\n"
            out += "\n".join(f"{self.star}{self.publication()}" for _ in range(1 + dice.few(6)))
        if self.refs or dice.chance(0.05):
            out += f"\n\n{self.heading(dice.pick(('Notes', 'References', 'Footnotes')), 2)}\n" + dice.pick(
                ("<references/>", "<references />", "{{reflist}}", "{{reflist|2}}", "{{Reflist|30em}}")
            )
        if dice.chance(0.75):
            out += f"\n\n{self.heading(dice.pick(('External links', 'External links', 'External link', 'External links and references')), 2)}\n"
            rows = []
            for _ in range(1 + dice.few(6)):
                name = self.subject()
                roll = dice.uniform()
                if roll < 0.7:
                    rows.append(
                        f"{self.star}[{self.address()} {name}]"
                        + dice.pick(("", "", f" - {self.subject()}", f" at {dice.word().capitalize()}", " (in German)"))
                    )
                elif roll < 0.85:
                    rows.append(
                        f"{self.star}{dice.pick(('{{wikiquote}}', '{{commons|%s}}', '{{wiktionarypar|%s}}', '{{commonscat|%s}}', '{{imdb title|id=0%s|title=%s}}')).replace('%s', self.title)}"
                    )
                else:
                    rows.append(f"{self.star}{self.address()}")
            out += "\n".join(rows)
        if dice.chance(0.06):
            out += f"\n\n{{{{{dice.pick(('stub', 'geo-stub', 'bio-stub', 'US-bio-stub', 'hist-stub', 'music-stub', 'disambig', 'tech-stub'))}}}}}"
        out += "\n" + "".join(f"\n[[Category:{name}]]" for name in self.categories())
        if not self.old:
            return out
        if dice.chance(0.12):
            out += "\n" + "".join(
                f"\n{{{{Link FA|{tongue}}}}}"
                for tongue in dict.fromkeys(dice.pick(("de", "fr", "es", "ja", "sv", "pl")) for _ in range(2))
            )
        fame = dice.uniform() * 1.9
        tongues = [tongue for tongue, weight in TONGUES.items() if dice.chance(fame * weight / 40)]
        if dice.chance(0.85):
            tongues.sort(
                key=lambda tongue: {"nb": "no", "simple": "zzz-" * dice.chance(0.0) + "simple"}.get(tongue, tongue)
            )
        bare = re.sub(r" \(.*\)$", "", self.title)
        return out + "\n" + "".join(f"\n[[{tongue}:{transliterated(bare, tongue, dice)}]]" for tongue in tongues)

    def categories(self) -> list[str]:
        """Return guesses at the article's categories, from its first sentence."""
        dice, names = self.dice, []
        opening = " ".join(self.lines[1:4])[:600]
        years = re.findall(r"\b(1[0-9]{3}|20[01]\d)\b", opening[:200])
        if len(years) >= 2 and re.search(r"\d\)? was ", opening[:300]):
            names += [f"{years[0]} births", f"{years[1]} deaths"]
        found = re.search(
            r"\b(?:is|was|are|were) (?:an?|the|one of the) ((?:[\w-]+ ){0,3}?[\w-]+)(?:[.,;]| (?:who|that|which|in|of|for|from|and|to|with|by)\b)",
            opening,
        )
        if found:
            words = found[1].strip()
            words = words[:-1] + "ies" if words.endswith("y") else words if words.endswith("s") else words + "s"
            names.append(words[:1].upper() + words[1:])
        names += [self.title] * dice.chance(0.15)
        names += [
            dice.pick(
                (
                    "%s",
                    "History of %s",
                    "Cities in %s",
                    "%s culture",
                    "People from %s",
                    "Geography of %s",
                    "%s politicians",
                    "Members of %s",
                )
            )
            % self.subject()
            for _ in range(dice.few(1.6))
        ]
        return [
            name + (f"|{dice.pick((self.title, ' ', '*', self.title.split(' ')[-1]))}" if dice.chance(0.2) else "")
            for name in dict.fromkeys(names)
        ]


class Export:
    """Writes pages with their headers; revision numbers vary as in a dump."""

    def __init__(self, terms: Terms, dice: Dice) -> None:
        self.terms, self.dice = terms, dice
        self.users = [self._user() for _ in range(700)]

    def _user(self) -> tuple[str, int]:
        dice = self.dice
        roll = dice.uniform()
        name = dice.word().capitalize()
        if roll < 0.3:
            name = f"{dice.pick(FIRST)} {name}"
        elif roll < 0.45:
            name = f"{name}{dice.between(1, 99)}"
        elif roll < 0.55:
            name = f"{name}Bot"
        elif roll < 0.65:
            name = f"{name} {dice.pick(('of', 'the', 'van'))} {dice.word().capitalize()}"
        elif roll < 0.75:
            name = dice.word()[:3].upper() + (str(dice.between(1, 999)) if dice.chance(0.4) else "")
        return name, int(10 ** (1 + 5 * dice.uniform()))

    def comment(self, page: Page | None, title: str) -> str:
        """Return an edit summary."""
        dice = self.dice
        user = dice.pick(self.users)[0]
        address = ".".join(str(dice.between(1, 254)) for _ in range(4))
        some = ", ".join(dice.pick(list(TONGUES)) for _ in range(dice.between(1, 3)))
        heads = [line[:-1] for line in page.lines if len(line) < 40 and line.endswith(".")] if page else []
        part = dice.pick(heads) if heads else "External links"
        return dice.pick(
            (f"/* {part} */", f"/* {part} */ {dice.pick(('typo', 'fmt', 'link', 'copyedit', 'rm spam', 'sp', 'grammar', 'wikify', 'fix'))}",
             f"/* See also */ +[[{title}]]", f"robot  Adding: {some}", f"robot  Modifying: {some}", f"Interwiki {some}", "typo", "minor", "fmt",
             f"Reverted edits by [[Special:Contributions/{address}|{address}]] ([[User talk:{address}|talk]]) to last version by {user}",
             f"rv to last version by {user}", "rv vandalism", "rvv", f"+[[{dice.pick(('Category:', ''))}{title}]]", "cat", "added link", "disambig",
             "[[WP:AWB|AWB assisted]] clean up", "wikification", "more", "expand", "copyedit", f"spelling: {dice.word()}", "stub", "links",
             f"[[{title}]]", f"moved [[{title}]] to [[{dice.word().capitalize()}]]", "fixed link", "Revert", "images", "external link", "revert",
             "/* External links */", "/* History */", "/* References */", "see talk", "fix redirect", "Fixed double redirect", "disambiguation link repair")
        )  # fmt: skip

    def dressed(self, number: int, title: str, text: str, page: Page | None, old: bool, year: int | None = None) -> str:
        """Return a whole <page> around the wiki text."""
        dice = self.dice
        year = (
            year or (2006 if dice.chance(0.88) else 2005)
            if old
            else year or (2016 if dice.chance(0.6) else dice.between(2013, 2015))
        )
        month = dice.between(1, 3) if year == 2006 else dice.between(1, 12)
        stamp = (
            f"{year}-{month:02}-{dice.between(1, 28):02}T{dice.below(24):02}:{dice.below(60):02}:{dice.below(60):02}Z"
        )
        revision = int(
            {2002: 15.9e6, 2003: 15.9e6, 2004: 15.9e6}.get(year, 15.9e6 + 26.2e6 * max(0, year - 2004 - 0.4) / 1.75)
            + dice.below(1_500_000)
        )
        if dice.chance(0.7 if old else 0.88):
            user, identity = dice.pick(self.users)
            by = f"        <username>{escape(user)}</username>\n        <id>{identity}</id>\n"
        else:
            by = f"        <ip>{'.'.join(str(dice.between(1, 254)) for _ in range(4))}</ip>\n"
        inner = (
            f"    <title>{escape(title)}</title>\n" + ("" if old else "    <ns>0</ns>\n") + f"    <id>{number}</id>\n"
        )
        redirect = re.match(r"#redirect:? *\[\[([^\]|]*)", text, re.I)
        if redirect and not old:
            inner += f'    <redirect title="{escape(redirect[1])}" />\n'
        inner += f"    <revision>\n      <id>{revision}</id>\n"
        if not old:
            inner += f"      <parentid>{revision - dice.between(1, 40_000_000)}</parentid>\n"
        inner += f"      <timestamp>{stamp}</timestamp>\n      <contributor>\n{by}      </contributor>\n"
        if dice.chance(0.5):
            inner += "      <minor />\n"
        if dice.chance(0.85):
            inner += f"      <comment>{escape(self.comment(page, title))}</comment>\n"
        if not old:
            inner += "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        inner += f'      <text xml:space="preserve">{escape(text)}</text>\n'
        if not old:
            inner += (
                f"      <sha1>{''.join(dice.pick('0123456789abcdefghijklmnopqrstuvwxyz') for _ in range(31))}</sha1>\n"
            )
        return f"  <page>\n{inner}    </revision>\n  </page>\n"

    def redirect(self, number: int, title: str, old: bool) -> str:
        """Return a redirect page to `title`."""
        dice = self.dice
        words = title.split(" ")
        names = ["".join(word[:1].upper() + word[1:] for word in words), title.lower().capitalize(), title + "s", f"{words[-1]}/{words[0]}",
                 f"{words[-1]}, {' '.join(words[:-1])}" if len(words) > 1 else title.upper(), " ".join(word.capitalize() for word in words),
                 f"{title} ({dice.word()})", words[-1], title.replace(" ", "-"), f"{title}/{dice.word().capitalize()}", f"The {title}"]  # fmt: skip
        name = dice.pick(names)
        word = dice.pick(("#REDIRECT ", "#REDIRECT ", "#REDIRECT ", "#redirect ", "#REDIRECT", "#Redirect "))
        target = title if dice.chance(0.85) else title.replace(" ", "_")
        text = f"{word}[[{target}]]" + dice.pick(
            (
                "",
                "",
                "",
                "\n",
                " ",
                " {{R from CamelCase}}",
                "{{R from alternate spelling}}",
                "\n\n{{Redr|move|from CamelCase|up}}" if not old else "",
            )
        )
        return self.dressed(
            number,
            name if name != title else name + "/Old",
            text,
            None,
            old,
            dice.pick((2002, 2002, 2002, 2003, 2004, 2005)) if old else None,
        )


def read_pages(data: bytes) -> list[tuple[int, str, str]]:
    """Return (id, title, text) of the articles in WikiExtractor's format; an article cut off at the end is left out."""
    text = data.decode("utf-8", "replace")
    return [(int(number), html.unescape(title), body) for number, title, body in DOC.findall(text)]


def dress(pages: list[tuple[int, str, str]], limit: int, seed: int, terms: Terms | None = None) -> bytes:
    """Return an export of about `limit` bytes, made from `pages` in random order, each of them whole.

    Four articles in five are in the style of 2006. There is about one redirect for each article.
    """
    dice = Dice(seed)
    export = Export(terms or Terms(pages), dice)
    order = np.random.default_rng([seed, 1]).permutation(len(pages))
    parts, size = [], 0
    for at in order:
        number, title, text = pages[at]
        old = dice.chance(0.8)
        for step in range(dice.few(1.1) if old else dice.few(0.5)):
            parts.append(export.redirect(number - 1 - step, title, old).encode())
        page = Page(number, title, text, export.terms, dice, old)
        body = page.body()
        parts.append(export.dressed(number, title, body, page, old).encode())
        size = size + len(parts[-1])
        if size >= limit:
            break
    return b"".join(parts)


def main() -> int:
    """Read the command line, dress, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wiki", type=Path, help="article text in WikiExtractor's <doc> envelopes")
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, default=90_000_000, help="approximate bytes to write")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    arguments.out.write_bytes(dress(read_pages(arguments.wiki.read_bytes()), arguments.limit, arguments.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
