"""Make a bearer key and its digest: `python -m infra.key` (make key)."""

from __future__ import annotations

import hashlib
import secrets

if __name__ == "__main__":
    key = secrets.token_urlsafe(32)  # 256 bits, so that a digest without salt gives nothing away
    print(f"key     {key}")
    print(f"digest  {hashlib.sha256(key.encode()).hexdigest()}")
    print("Callers send the key as `Authorization: Bearer …`; the stack gets its digest alone (KEY_DIGESTS=).")
