"""The derivation of src/pki/derive.rs once more, from RFC 5869 and nothing else: prints what its tests pin."""

import hashlib
import hmac


def hkdf(salt, key, info, length):
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    block, out, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


def derive(kind, parts, length):
    info = b"".join(len(part).to_bytes(8, "big") + part for part in [kind, *parts])
    return hkdf(b"remuda pki 1", bytes(range(32)), info, length).hex()


print(derive(b"p256", [b"golden", b"kubelet", b"node-01", (1).to_bytes(4, "big"), b"\0"], 32))
print(derive(b"secret", [b"golden", b"encryption-at-rest", b"", (2).to_bytes(4, "big")], 32))
print(derive(b"fingerprint", [], 16))
print(derive(b"vault", [], 32))
print(derive(b"ed25519", [b"golden", b"ssh-host", b"node-01", (1).to_bytes(4, "big")], 32))
