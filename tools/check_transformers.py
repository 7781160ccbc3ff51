"""Shows that a language model trained here opens in `transformers` as it is, and computes the same.

    deno task train text --data TEXT --steps 100 --out trained/text
    python tools/check_transformers.py trained/text TEXT

The folder goes to `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` with no
further argument. Checked on TEXT, with what `infer.ts score` says of the same folder:

- the tokenizers give the same ids for the whole text, and theirs decodes them to the same text (to
  what its normalizer makes of the text, where it has one);
- the logits after each of the first ids (--tokens, 512 by default) differ by at most 1e-3.

Prints a line for each, and ends with 1 if one fails. Needs torch, transformers, safetensors and
numpy, and Deno (--deno, `deno` by default).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-3


def score(deno, folder, *options):
    """What `infer.ts score` prints with --json."""
    command = [deno, "run", "--allow-read", "--allow-write", str(ROOT / "infer.ts")]
    done = subprocess.run(
        [*command, "score", str(folder), *map(str, options), "--json"],
        check=True, stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def our_numbers(deno, folder, text_file, tokens):
    """Ids of the whole text, and logits (tokens, vocab_size) after the first of them."""
    ids = [entry["id"] for entry in score(deno, folder, "--text", text_file)["scores"]]
    with tempfile.TemporaryDirectory() as temporary:
        ids_file, logits_file = Path(temporary, "ids.json"), Path(temporary, "logits.safetensors")
        ids_file.write_text(json.dumps(ids[:tokens]))
        score(deno, folder, "--ids", ids_file, "--logits", logits_file)
        return ids, load_file(logits_file)["logits"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a checkpoint that train.ts wrote")
    parser.add_argument("text", help="a UTF-8 file")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--deno", default="deno")
    options = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(options.folder)
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    weights = load_file(Path(options.folder, "model.safetensors"))
    stored = ", ".join(sorted({str(tensor.dtype) for tensor in weights.values()}))
    print(
        f"transformers {transformers.__version__}: {type(model).__name__}, stored as {stored}, "
        f"computing in {model.dtype}; {type(tokenizer).__name__}, {len(tokenizer)} tokens"
    )
    text = Path(options.text).read_bytes().decode()
    ids, logits = our_numbers(options.deno, options.folder, options.text, options.tokens)
    theirs = tokenizer(text)["input_ids"]
    normalizer = tokenizer.backend_tokenizer.normalizer
    normalized = text if normalizer is None else normalizer.normalize_str(text)
    with torch.no_grad():
        their_logits = model(torch.tensor([ids[: options.tokens]])).logits[0].float().numpy()
    difference = np.abs(their_logits - logits).max()
    agreeing = (their_logits.argmax(-1) == logits.argmax(-1)).mean()
    checks = [
        (theirs == ids, f"same ids: {len(ids)} of {len(text)} characters"),
        (tokenizer.decode(theirs) == normalized, "their decoding gives the text back"),
        (
            difference <= TOLERANCE,
            f"logits of {len(logits)} ids differ by at most {difference:.2e} (largest "
            f"{np.abs(logits).max():.1f}), allowed {TOLERANCE:.0e}; same likeliest token: {agreeing:.2%}",
        ),
    ]
    for passes, line in checks:
        print("pass" if passes else "FAIL", line, sep="  ")
    return 0 if all(passes for passes, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
