"""From what a language model answered to a caption: plain, bounded, without refusals and loops.

The answer is not to be trusted. Text inside a picture can steer the model, and models repeat themselves without end.
"""

import re
import unicodedata

from shared.errors import CaptionRefused

MAX_CHARACTERS = 2000  # of a caption; a paragraph of 300 tokens has about 1,500
MIN_WORDS = 8  # different ones; with fewer, nothing of a face has been described
LOOP_WORDS = 8  # the same words in a row twice: people do not write so, models that got stuck do

LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
LINE_MARK = re.compile(r"^\s*(?:#+|>+|[-*+•]|\d+[.)])\s+", re.MULTILINE)
MARKUP = re.compile(r"[*_`#|~<>\[\]{}\\]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)(?: so| very)? sorry|i(?:'m| am)(?: not able| unable| not comfortable| not allowed| prohibited)"
    r"|i (?:can't|cannot|can not|won't|will not|could not|couldn't|must decline|don't feel)"
    r"|i (?:do not|don't) (?:identify|recogni[sz]e|feel|have the ability)"
    r"|(?:it(?:'s| is)|that(?:'s| is)) (?:not appropriate|against)|as an ai\b|unable to (?:assist|help|comply|fulfil))",
    re.IGNORECASE,
)


def caption_from(answer: str) -> str:
    """The caption in `answer`: one paragraph of at most MAX_CHARACTERS. Raises CaptionRefused if there is none."""
    text = plain(answer[: 2 * MAX_CHARACTERS])
    whole = before_loop(text)
    sentences = SENTENCE_END.split(whole)
    told = [sentence for sentence in sentences if not REFUSAL.search(sentence)]
    caption = _cut(" ".join(told), complete=whole == text)
    if len(set(caption.casefold().split())) >= MIN_WORDS:
        return caption
    if len(told) < len(sentences):
        raise CaptionRefused
    if whole != text:
        raise CaptionRefused("The captioner kept repeating itself instead of describing this face.")
    raise CaptionRefused("The captioner had nothing to say about this face.")


def plain(text: str) -> str:
    """`text` in one line: no markup, links, control, invisible or direction-changing characters; straight quotes."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    text = "".join(sign for sign in text if sign.isspace() or _is_visible(sign))
    # Addresses last: until then, signs inside them can hide what they are.
    for pattern, instead in ((LINK, r"\1"), (TAG, ""), (LINE_MARK, ""), (MARKUP, ""), (ADDRESS, "")):
        text = pattern.sub(instead, text)
    return " ".join(text.split())


def before_loop(text: str) -> str:
    """`text` up to where LOOP_WORDS words in a row come a second time; all of it if they never do."""
    words = text.split()
    seen = set()
    for start in range(len(words) - LOOP_WORDS + 1):
        run = tuple(word.casefold() for word in words[start : start + LOOP_WORDS])
        if run in seen:
            return " ".join(words[:start])
        seen.add(run)
    return text


def _is_visible(sign: str) -> bool:
    return not unicodedata.category(sign).startswith("C")


def _cut(text: str, complete: bool) -> str:
    """At most MAX_CHARACTERS, ending where a sentence ends if it has a whole one.

    Texts that are not `complete`, too long, or ended by the token limit stop in the middle of a sentence.
    """
    if complete and len(text) <= MAX_CHARACTERS and text.endswith((".", "!", "?", '"', "'", ")")):
        return text
    text = text[:MAX_CHARACTERS]
    end = max(text.rfind(sign) for sign in ".!?")
    return text[: end + 1] if end > 0 else text
