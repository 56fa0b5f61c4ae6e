#!/usr/bin/env python3
"""Checks a draw with nothing but Python: docs/draw.md in code, written without looking at Vestibule's.

usage: curl -s http://door/.waiting-room/rooms/demo/draw | python3 docs/draw.py [NUMBER...]

Prints one JSON object: whether the commitment matches the seed, and the place of each number (of all, if none is named).
"""

import hashlib
import json
import struct
import sys

MASK = 0xFFFFFFFF


def final_seed(evidence):
    parts = [
        b"vestibule draw 1",
        bytes.fromhex(evidence["seed"]),
        struct.pack(">Q", evidence["drawn"]),
        evidence["digest"].encode(),
        evidence["beacon"].encode(),
    ]
    if evidence.get("lane"):
        parts.append(evidence["lane"].encode())
    return hashlib.sha256(b"".join(struct.pack(">Q", len(part)) + part for part in parts)).digest()


def words(key):
    """The key stream of ChaCha20 with a nonce of zeros, from block 0, as little-endian 32-bit words (RFC 8439, 2.3)."""
    block = 0
    while True:
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), block, 0, 0, 0]
        state = start[:]
        for _ in range(10):
            for a, b, c, d in (
                (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
            ):
                for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    state[x] = (state[x] + state[y]) & MASK
                    mixed = state[z] ^ state[x]
                    state[z] = (mixed << turn | mixed >> (32 - turn)) & MASK
        yield from ((one + two) & MASK for one, two in zip(state, start))
        block += 1


def below(bound, stream):
    limit = 2**32 - 2**32 % bound
    return next(word for word in stream if word < limit) % bound


def draw(seed, count):
    """The places of the numbers 1 to count, in the order of the numbers."""
    places, stream = list(range(1, count + 1)), words(seed)
    for last in range(count - 1, 0, -1):
        other = below(last + 1, stream)
        places[last], places[other] = places[other], places[last]
    return places


def main():
    evidence = json.load(sys.stdin)
    if evidence["seed"] is None:
        sys.exit("the draw has not been made")
    committed = hashlib.sha256(bytes.fromhex(evidence["seed"])).hexdigest() == evidence["commitment"]
    seed = final_seed(evidence)
    places = draw(seed, evidence["drawn"])
    numbers = [int(text) for text in sys.argv[1:]] or range(1, len(places) + 1)
    found = {str(number): places[number - 1] for number in numbers}
    print(json.dumps({"commitment_matches": committed, "final_seed": seed.hex(), "places": found}))


if __name__ == "__main__":
    main()
