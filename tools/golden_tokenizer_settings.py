"""tests/golden/tokenizers/settings.json: settings of tokenizer.json one by one, and what the reference makes of texts.

Holds the models by name, the texts, and a list of cases: the parts of a tokenizer.json, then ids and decoded text of each
text.
"""

import itertools
import json

from tokenizers import Tokenizer, pre_tokenizers

TEXTS = [
    "hello world", "12-34 a--b-", "  a  b ", "cat concat cats cat! CAT a <s> cat",
    "Hello \u039f\u0394\u039f\u03a3 \u00e9 e\u0301 \u6f22\u5b57\U00020000x", "he|hel||12",
    "x\u0085y\ufeffy\u00a0z\tq\nr", "a.b 'tis don't \u00bd \u0663", "\U0001f600 <x> a b lo",
    " <x>lo hello <x> a", "\u2581a\u2581\u2581b", "do not . ' x", "<0x41>a<unk>",
]


def pair_model(characters, merges, unknown=None, **settings):
    """Byte pairs over some characters; the unknown token first where there is one."""
    vocab = {token: i for i, token in enumerate(([unknown] if unknown else []) + list(characters))}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    return {"type": "BPE", "unk_token": unknown, "vocab": vocab, "merges": merges, **settings}


def scored(*extra, **settings):
    vocab = [["<unk>", 0], ["\u2581", -3], ["a", -3.1], ["b", -3.2], ["\u2581a", -2.5], ["ab", -4]]
    vocab += [[token, -5] for token in ["h", "e", "l", "o", "1", "hell", "\u2581hello", *extra]]
    return {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": bool(extra), **settings}


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = "\u2581abcdehlow123.,-'S"
SPACED = [("\u2581", "a"), ("a", "b"), ("\u2581a", "b"), ("h", "e"), ("l", "l"), ("1", "2")]
ENDED = [letter + end for letter in "abcdehlow12." for end in ("", "</w>")]
PIECES = ["[CLS]", "[SEP]", "a", "##b", "ab", "hel", "##l", "##o", "wor", "##ld", ".", "-", "12", "'"]
WORDS = ["hello", "world", "a", "b", "ab", "12", ".", "-", " ", "\u2581a", "h", "e"]
MODELS = {
    "bytes": pair_model(
        sorted(pre_tokenizers.ByteLevel.alphabet()),
        [("h", "e"), ("he", "l"), ("\u0120", "w"), ("1", "2"), ("12", "3"), ("a", "b")],
    ),
    "pairs": pair_model(LETTERS, SPACED, "<unk>"),
    "fused": pair_model(LETTERS, SPACED, "<unk>", fuse_unk=True),
    "dropping": pair_model(LETTERS, SPACED),
    "whole": pair_model(LETTERS, SPACED, "<unk>", ignore_merges=True),
    "fallback": pair_model([*LETTERS, *BYTES], SPACED, "<unk>", byte_fallback=True),
    "suffix": pair_model(ENDED, [("a", "b</w>"), ("h", "e")], "<unk>", end_of_word_suffix="</w>"),
    "scores": scored(),
    "scores-bytes": scored(*BYTES),
    "pieces": {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 8, "vocab": {t: i for i, t in enumerate(["[UNK]", *PIECES])},
    },
    "words": {
        "type": "WordLevel", "unk_token": "[UNK]",
        "vocab": {token: i for i, token in enumerate(["[UNK]", *WORDS])},
    },
}


def part(type, **settings):
    return {"type": type, **settings}


def cuts(*parts):
    return part("Sequence", pretokenizers=list(parts))


BYTE_LEVEL = part("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
JOINED = {**BYTE_LEVEL, "use_regex": False}


def metaspace(scheme, split=True):
    return part("Metaspace", replacement="\u2581", prepend_scheme=scheme, split=split)


def added(content, **settings):
    flags = {name: False for name in ["single_word", "lstrip", "rstrip", "normalized", "special"]}
    return {"id": 0, "content": content, **flags, **settings}


def cases():
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for behavior, invert in itertools.product(behaviors, [False, True]):
        for pattern in [{"String": "-"}, {"Regex": "(a|b)"}, {"Regex": ""}]:
            cut = part("Split", pattern=pattern, behavior=behavior, invert=invert)
            yield "bytes", {"pre_tokenizer": cuts(cut, JOINED)}
    for behavior in behaviors:
        yield "words", {"pre_tokenizer": part("Punctuation", behavior=behavior)}
    for each in [False, True]:
        yield "words", {"pre_tokenizer": part("Digits", individual_digits=each)}
    for name, model in itertools.product(
        ["Whitespace", "WhitespaceSplit", "BertPreTokenizer"], ["words", "pieces", "pairs", "suffix"]
    ):
        yield model, {"pre_tokenizer": part(name)}
    yield "bytes", {"pre_tokenizer": cuts(part("CharDelimiterSplit", delimiter="|"), BYTE_LEVEL)}
    yield "words", {"pre_tokenizer": part("FixedLength", length=2)}
    for space, regex in itertools.product([False, True], repeat=2):
        cut = {**BYTE_LEVEL, "add_prefix_space": space, "use_regex": regex}
        yield "bytes", {"pre_tokenizer": cut, "decoder": cut, "added_tokens": [added("<x>"), added("\u00e9")]}
    for scheme, split in itertools.product(["always", "never", "first"], [False, True]):
        for model in ["pairs", "scores", "fallback", "scores-bytes", "dropping", "fused", "whole"]:
            space = metaspace(scheme, split)
            decoder = part("Sequence", decoders=[part("ByteFallback"), space])
            tokens = [added("<x>", special=True), added("lo", normalized=True)]
            yield model, {"pre_tokenizer": space, "decoder": decoder, "added_tokens": tokens}
        yield "pairs", {"pre_tokenizer": cuts(part("WhitespaceSplit"), metaspace(scheme, split))}
    for normalizer in [
        part("NFC"), part("NFKD"), part("Lowercase"), part("StripAccents"), part("ByteLevel"),
        part("Strip", strip_left=True, strip_right=True), part("Prepend", prepend="\u2581"),
        part("Replace", pattern={"String": "a"}, content="$&b"),
        part("Replace", pattern={"Regex": "\\s+"}, content=" "),
    ]:
        tokens = [added("Hello", normalized=True), added("\u00e9")]
        yield "bytes", {
            "normalizer": normalizer, "pre_tokenizer": JOINED, "decoder": JOINED, "added_tokens": tokens,
        }
        yield "fallback", {"normalizer": normalizer, "pre_tokenizer": metaspace("first")}
    for clean, space, lower, strip in itertools.product(*[[False, True]] * 3, [None, False, True]):
        normalizer = part(
            "BertNormalizer", clean_text=clean, handle_chinese_chars=space, lowercase=lower, strip_accents=strip
        )
        yield "bytes", {"normalizer": normalizer, "pre_tokenizer": JOINED}
    for flags in itertools.product([False, True], repeat=4):
        settings = dict(zip(["single_word", "lstrip", "rstrip", "normalized"], flags))
        tokens = [added("cat", **settings), added("cat a"), added("<s>", special=True)]
        yield "bytes", {
            "normalizer": part("Lowercase"), "pre_tokenizer": BYTE_LEVEL, "decoder": BYTE_LEVEL, "added_tokens": tokens,
        }
    text = {"Sequence": {"id": "A", "type_id": 0}}
    begin = {"SpecialToken": {"id": "X", "type_id": 0}}
    template = part(
        "TemplateProcessing", single=[begin, text, begin], pair=[text, text],
        special_tokens={"X": {"id": "X", "ids": [3, 4], "tokens": ["c", "d"]}},
    )
    for post in [
        template, part("Sequence", processors=[BYTE_LEVEL, template]),
        part("BertProcessing", sep=["b", 2], cls=["a", 1]),
        part("RobertaProcessing", sep=["b", 2], cls=["a", 1], trim_offsets=True, add_prefix_space=True),
    ]:
        yield "words", {"pre_tokenizer": part("Whitespace"), "post_processor": post}
    for decoder in [
        part("WordPiece", prefix="##", cleanup=True), part("WordPiece", prefix="##", cleanup=False),
        part("BPEDecoder", suffix="l"), part("Replace", pattern={"Regex": "l+"}, content="$&"), part("Fuse"),
        part("Strip", content="h", start=1, stop=0),
    ]:
        yield "pieces", {"pre_tokenizer": part("BertPreTokenizer"), "decoder": decoder}


def results(model, parts):
    description = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": MODELS[model], **parts,
    }
    tokenizer = Tokenizer.from_str(json.dumps(description))
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        yield [ids, tokenizer.decode(ids, skip_special_tokens=False)]


def write(path):
    """All of it, into a new file."""
    found = [{"model": model, **parts, "results": list(results(model, parts))} for model, parts in cases()]
    golden = {"models": MODELS, "texts": TEXTS, "cases": found}
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
