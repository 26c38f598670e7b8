"""Words cut in Python are cut as the tokenizers library cuts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer, Tokenizer

from handler.encoding import WordCache
from handler.wordpiece import LONGEST_WORD, SPECIAL_TOKENS, Tokens, WordPiece

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»–—’“”…€™µß"
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS[:-3]),  # some words are unknown
    *MARKS,
    *("the", "un", "able", "##able", "##ing", "cafe", "naive", "lambda", "中", "é", "Un", "THE"),
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "vocab.txt"
    path.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return path


def pair(vocabulary: Path, *, lowercase: bool) -> tuple[WordCache, Tokenizer]:
    """Return the cached Python tokenizer and the library's, over the same vocabulary."""
    library = BertWordPieceTokenizer(str(vocabulary), lowercase=lowercase)
    words = WordPiece({piece: index for index, piece in enumerate(PIECES)}, lambda: library, lowercase=lowercase)
    return WordCache(words), library


@pytest.fixture(scope="module", params=[True, False], ids=["lower-cased", "cased"])
def tokenizers(request: pytest.FixtureRequest, vocabulary: Path) -> tuple[WordCache, Tokenizer]:
    return pair(vocabulary, lowercase=request.param)


def ids_of(cache: WordCache, text: str) -> list[int]:
    return list(memoryview(cache.ids(text)).cast("i"))


LATIN = st.text(st.characters(max_codepoint=0x24F) | st.characters(min_codepoint=0x2000, max_codepoint=0x206F))
WORDS = st.lists(
    st.sampled_from([*SPECIAL_TOKENS, "the", "unable", "Café", "naïve", "x’s", "İ", "ﬁ", "Σας", "e\u0301"])
).map("".join)
ANY = st.text() | LATIN | st.text("abc [SEP]'\n\t\x00\x1c\u00a0\u0085", max_size=40) | WORDS


@settings(max_examples=400, deadline=None)
@given(text=st.lists(ANY).map(" ".join))
def test_any_text_has_the_librarys_ids(tokenizers: tuple[WordCache, Tokenizer], text: str) -> None:
    cache, library = tokenizers
    assert ids_of(cache, text) == library.encode(text, add_special_tokens=False).ids


def test_every_single_character_has_the_librarys_ids(tokenizers: tuple[WordCache, Tokenizer]) -> None:
    cache, library = tokenizers
    texts = [f"a{chr(code)}b" for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    expected = [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]
    wrong = [hex(ord(text[1])) for text, ids in zip(texts, expected, strict=True) if ids_of(cache, text) != ids]
    assert wrong == []


@pytest.mark.parametrize("length", [LONGEST_WORD - 1, LONGEST_WORD, LONGEST_WORD + 1])
def test_a_word_is_unknown_from_the_librarys_length_on(tokenizers: tuple[WordCache, Tokenizer], length: int) -> None:
    cache, library = tokenizers
    text = "a" * length
    assert ids_of(cache, text) == library.encode(text, add_special_tokens=False).ids


def test_latin_text_is_tokenised_before_the_library_is_imported(vocabulary: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from handler.wordpiece import Tokens
tokens = Tokens(Path({str(vocabulary.parent)!r}), lowercase=True)
assert tokens.word_ids("naïve—café's") and "tokenizers" not in sys.modules
assert tokens.word_ids("中文") and "tokenizers" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_a_tokenizer_json_serves_where_there_is_no_vocabulary(vocabulary: Path, tmp_path: Path) -> None:
    library = BertWordPieceTokenizer(str(vocabulary))
    library.save(str(tmp_path / "tokenizer.json"))
    tokens = Tokens(tmp_path, lowercase=True)
    assert tokens.word_ids("unable") == library.encode("unable", add_special_tokens=False).ids
    assert tokens.special_id("[SEP]") == 3
