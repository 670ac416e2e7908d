"""Information that may not be collected, recognised by the names of its fields (rules R6 and R58 of ``rules.csv``)."""

from __future__ import annotations

import re
from typing import Final

PROHIBITED_NAMES: Final = frozenset(
    {
        *("religion", "gene", "genes", "genetic", "dna", "fingerprint", "fingerprints", "blood", "disease", "medical"),
        *("illness", "宗教", "信仰", "基因", "指纹", "血型", "疾病", "病史"),
    }
)
"""R6: words of names of information that 条例 Art. 14 para 1 forbids to collect. The article's list is open-ended."""
C3_NAMES: Final = frozenset(
    {
        *("password", "passwd", "pwd", "passcode", "pin", "cvv", "cvv2", "cvc", "cvn", "track", "track1", "track2"),
        *("otp", "faceprint", "voiceprint", "iris", "密码", "口令", "磁道", "验证码", "人脸", "声纹", "虹膜"),
    }
)
"""R58: words of names of C3 information (JR/T 0171-2020, 4.2: what authenticates a user)."""
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+[0-9]?|[A-Z]+[0-9]?(?![a-z])|[0-9]+|[\u4e00-\u9fff]+")


def names_prohibited_information(name: str) -> bool:
    """R6, 征信业管理条例 Art. 14 para 1: religion, genes, fingerprints, blood type, disease and medical history.

    ``name`` is a field's: snake_case, lowerCamel or Chinese.
    """
    return _says(name, PROHIBITED_NAMES)


def names_c3_information(name: str) -> bool:
    """R58, JR/T 0171-2020, 4.2 and 6.1: what authenticates a user (C3) is neither collected nor kept nor logged."""
    return _says(name, C3_NAMES)


def _says(name: str, words: frozenset[str]) -> bool:
    parts = {part.lower() for part in _WORDS.findall(name)}
    return bool(parts & words) or any(word in name for word in words if not word.isascii())
