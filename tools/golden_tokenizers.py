"""tests/golden/tokenizers: two small tokenizers, and what the reference makes of texts with them.

neox.json has the form of GPT-NeoX's: NFC, byte-level BPE, special tokens, and runs of spaces as added
tokens. llama.json has the form of Llama's and Codestral's: spaces as U+2581, bytes as fallback, and
a first space that is not shown. cases.json holds [text, ids, decoded] for each. What is in settings.json,
golden_tokenizer_settings.py says.
"""

import json

import golden_tokenizer_settings
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

CORPUS = """The state of a recurrent model is small, and it is all that the model remembers of what it has read.
When the next word comes, the state changes a little; nothing else is kept, so the thousandth word costs what the first did.
She said: "Don't hurry, we've got time." They'll come back; I'm sure it's not the last we'd hear of them.
for (let i = 0; i < length; i++) {
    total += values[i] * 0.25;
    if (total > 1000) return total;
}
Der Zustand bleibt gleich groß. Où êtes-vous allés l'été dernier? Mañana será otro día. Привет, как дела?
"""

TEXTS = [
    "The state of the model.",
    "Don't stop: we'll see; they've gone, I'm here, it's 'S",
    "for (let i = 0; i < 10; i++) {\n        total += 1;\n}\n",
    *[f"a{' ' * n}b" for n in (1, 2, 3, 4, 23, 24, 25, 26, 47, 48, 49, 50, 75)],
    "  two before, two after  ",
    "\t\ttabs\tand\r\nlines\n\n\nmore \n ",
    "caf\u00e9 cafe\u0301 \u212b \uac00 \u1100\u1161 \u0958",
    "\U0001f40d\U0001f468\u200d\U0001f469\u200d\U0001f467 \u86c7 \u0e07\u0e39 \u0646\u0639\u0627\u0645 \u05e0\u05d7\u05e9",
    "x\u0085y \u0085\u0085 z\u2028\u2029\u3000\u00a0\ufeffq\u200b",
    "1 22 333 4444 \u00bd\u00b2 \u0664\u0665",
    "<|endoftext|>begin<|endoftext|>  <|padding|> end<|endoftext|",
    "<s>one</s> two<unk>",
    "\u0000\u0001\u001f\u007f\u009f\ufffd\ufffd\ufffd\ufffd",
    "\U0010ffff\ud7ff\ue000 \U0001d400\U0001d401",
    " leading", " ", "\n", "a",
]


def neox():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        [CORPUS],
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=["<|endoftext|>", "<|padding|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    return tokenizer


def llama():
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trained.train_from_iterator(
        [CORPUS],
        trainers.BpeTrainer(vocab_size=520, special_tokens=special, show_progress=False),
    )
    model = json.loads(trained.to_str())["model"]
    tokenizer = Tokenizer(models.BPE(
        model["vocab"],
        [tuple(merge) for merge in model["merges"]],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    ))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Prepend("\u2581"),
        normalizers.Replace(" ", "\u2581"),
    ])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ])
    return tokenizer


def write(folder):
    """neox.json, llama.json, cases.json and settings.json, into a new folder."""
    folder.mkdir()
    cases = {}
    for name, tokenizer in {"neox": neox(), "llama": llama()}.items():
        tokenizer.save(str(folder / f"{name}.json"), pretty=False)
        cases[name] = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            cases[name].append([text, ids, tokenizer.decode(ids, skip_special_tokens=False)])
    (folder / "cases.json").write_text(json.dumps(cases) + "\n")
    golden_tokenizer_settings.write(folder / "settings.json")
