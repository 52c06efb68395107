#!/usr/bin/env python3
"""A second reader of backups, written from docs/BACKUP.md alone.

usage: check_backup.py MANUFACTURER-KEYS INSTALLATION-KEYS BACKUP [records]

Needs Python's standard library; `cryptography`, where it is installed, makes it faster. Prints what the header says, and
the length and SHA-256 of what is inside, as JSON; with `records`, also how many records of each table. Ends with status 1 and a reason when the backup does not check out.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:
    Cipher = None


class Refused(Exception):
    pass


def require(condition, reason):
    if not condition:
        raise Refused(reason)


# AES-256, decryption of one block (FIPS 197, section 5.3).


def _tables():
    def times(a, b):
        product = 0
        while b:
            if b & 1:
                product ^= a
            a = (a << 1) ^ (0x11B if a & 0x80 else 0)
            b >>= 1
        return product

    inverse = [0] * 256
    for a in range(1, 256):
        inverse[a] = next(b for b in range(1, 256) if times(a, b) == 1)

    def affine(x):
        return (x ^ x << 1 ^ x << 2 ^ x << 3 ^ x << 4 ^ x >> 7 ^ x >> 6 ^ x >> 5 ^ x >> 4 ^ 0x63) & 0xFF

    box = [affine(inverse[x]) for x in range(256)]
    unbox = [0] * 256
    for x, y in enumerate(box):
        unbox[y] = x
    return box, unbox, {factor: [times(x, factor) for x in range(256)] for factor in (9, 11, 13, 14)}


class PlainAes:
    def __init__(self, key):
        self.box, self.unbox, self.product = _tables()
        words, constant = [key[at : at + 4] for at in range(0, 32, 4)], 1
        for at in range(8, 60):
            word = words[-1]
            if at % 8 == 0:
                word = bytes(self.box[b] for b in word[1:] + word[:1])
                word = bytes([word[0] ^ constant]) + word[1:]
                constant <<= 1
            elif at % 8 == 4:
                word = bytes(self.box[b] for b in word)
            words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
        self.rounds = [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]

    def decrypt(self, block):
        state = [a ^ b for a, b in zip(block, self.rounds[14])]
        for number in range(13, -1, -1):
            state = [self.unbox[state[(at - 4 * (at % 4)) % 16]] for at in range(16)]
            state = [a ^ b for a, b in zip(state, self.rounds[number])]
            if number > 0:
                state = [self._unmixed(state, at) for at in range(16)]
        return bytes(state)

    def _unmixed(self, state, at):
        column, row = at - at % 4, at % 4
        factors = (14, 11, 13, 9)
        mixed = 0
        for other in range(4):
            mixed ^= self.product[factors[(other - row) % 4]][state[column + other]]
        return mixed


class FastAes:
    def __init__(self, key):
        self.decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()

    def decrypt(self, block):
        return self.decryptor.update(block)


# SP 800-38F: W inverse, KW and KWP.


def unwrap_semiblocks(key, wrapped):
    require(len(wrapped) % 8 == 0 and len(wrapped) >= 24, "a wrapped value has a wrong length")
    aes = (FastAes if Cipher else PlainAes)(key)
    a, rest = wrapped[:8], [wrapped[at : at + 8] for at in range(8, len(wrapped), 8)]
    for step in range(6 * len(rest), 0, -1):
        at = (step - 1) % len(rest)
        mixed = (int.from_bytes(a, "big") ^ step).to_bytes(8, "big")
        block = aes.decrypt(mixed + rest[at])
        a, rest[at] = block[:8], block[8:]
    return a, b"".join(rest)


def unwrap_kw(key, wrapped):
    check, plaintext = unwrap_semiblocks(key, wrapped)
    require(check == b"\xa6" * 8, "KW: wrong integrity check value")
    return plaintext


def unwrap_kwp(key, wrapped):
    check, plaintext = unwrap_semiblocks(key, wrapped)
    length = int.from_bytes(check[4:], "big")
    require(check[:4] == b"\xa6\x59\x59\xa6", "KWP: wrong integrity check value")
    require(0 <= len(plaintext) - length < 8, "KWP: wrong length")
    require(not any(plaintext[length:]), "KWP: wrong padding")
    return plaintext[:length]


# The header.

FIELDS = {
    1: ("manufacturerId", "text"),
    2: ("mkbkVersion", "number"),
    3: ("akbkVersion", "number"),
    4: ("hsmType", "text"),
    5: ("mode", "text"),
    6: ("clusterId", "text"),
    7: ("createdAtMs", "number"),
    8: ("stateSchemaVersion", "number"),
    9: ("firmware", "text"),
    10: ("maskingKeyId", "bytes"),
}


def read_header(backup):
    require(len(backup) >= 40, "it is cut off")
    magic, version, suite, length, _, chunk_size, chunk_count = struct.unpack(">8sHHI16sII", backup[:40])
    require(magic == b"CHSMBKP1" and version == 1 and suite == 1, "magic, version or suite")
    require(80 <= length <= 4096 and length <= len(backup), "length of the header")
    fields, context, at, before = {}, b"", 40, 0
    while at < length - 40:
        type_, size = struct.unpack(">HH", backup[at : at + 4])
        value = backup[at + 4 : at + 4 + size]
        require(type_ in FIELDS and type_ > before and at + 4 + size <= length - 40, f"field {type_}")
        if type_ <= 3:
            context += backup[at : at + 4 + size]
        name, form = FIELDS[type_]
        fields[name] = {
            "text": lambda: value.decode("ascii"),
            "number": lambda: int.from_bytes(value, "big"),
            "bytes": value.hex,
        }[form]()
        before, at = type_, at + 4 + size
    missing = [name for type_, (name, _) in FIELDS.items() if type_ < 9 and name not in fields]
    require(not missing, f"missing fields {missing}")
    return fields, context, backup[:length], chunk_size, chunk_count


def derive_pbk(mkbk, akbk, context):
    data = b"\0\0\0\x01" + b"cloudhsm-emulator/backup/PBK/v1" + b"\0" + context + struct.pack(">I", 256)
    return hmac.new(mkbk + akbk, data, hashlib.sha256).digest()


def read_state(backup, header, ebk, chunk_size, chunk_count):
    header_hash = hashlib.sha256(header).digest()
    state, at = b"", len(header)
    for index in range(chunk_count):
        (size,) = struct.unpack(">I", backup[at : at + 4])
        plaintext = unwrap_kwp(ebk, backup[at + 4 : at + 4 + size])
        at += 4 + size
        last = index == chunk_count - 1
        require(len(plaintext) > 40, f"chunk {index} is empty")
        require(struct.unpack(">II", plaintext[:8]) == (index, int(last)), f"chunk {index}: place or flags")
        require(plaintext[8:40] == header_hash, f"chunk {index}: hash of the header")
        payload = plaintext[40:]
        if last:
            expected = struct.pack(">Q", len(state)) + hashlib.sha256(state).digest()
            require(payload == expected, "the trailer")
        else:
            full = len(payload) == chunk_size
            require(full or (index == chunk_count - 2 and len(payload) < chunk_size), f"chunk {index}: size")
            state += payload
    require(at == len(backup), "something behind the end")
    return state


def count_records(state):
    names = {1: "settings", 2: "users", 3: "objects", 5: "tombstones", 8: "withdrawals", 9: "formerUsers"}
    counts, at, before = dict.fromkeys(names.values(), 0), 0, b""
    while at < len(state):
        require(at + 7 <= len(state), "a record is cut off")
        table, key_size, value_size = struct.unpack(">BHI", state[at : at + 7])
        place = bytes([table]) + state[at + 7 : at + 7 + key_size]
        require(table in names and place > before, f"a record of table {table} is out of place")
        counts[names[table]] += 1
        before, at = place, at + 7 + key_size + value_size
    require(at == len(state), "a record is cut off")
    return counts


def key_of(file, version):
    with open(file, encoding="utf8") as stream:
        keys = json.load(stream)["keys"]
    require(str(version) in keys, f"there is no key of version {version} in {file}")
    return base64.b64decode(keys[str(version)])


def main(manufacturer_keys, installation_keys, backup_file, what=None):
    with open(backup_file, "rb") as stream:
        backup = stream.read()
    fields, context, header, chunk_size, chunk_count = read_header(backup)
    mkbk = key_of(manufacturer_keys, fields["mkbkVersion"])
    akbk = key_of(installation_keys, fields["akbkVersion"])
    ebk = unwrap_kw(derive_pbk(mkbk, akbk, context), header[-40:])
    state = read_state(backup, header, ebk, chunk_size, chunk_count)
    digest = hashlib.sha256(state).hexdigest()
    answer = {"header": fields, "state": {"lengthBytes": len(state), "sha256": digest}}
    if what == "records":
        answer["records"] = count_records(state)
    print(json.dumps(answer))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
