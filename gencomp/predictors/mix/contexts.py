"""What the model conditions on: contexts of text, records, images, audio samples and nucleotides, as 30-bit hashes.

A *plan* has a row of context numbers for each *mode*. The mode is either fixed by the user (an image's row width, a
sample format) or found from the data every ``SURVEY`` bytes: text, nucleotides or records, and for records the distance
at which bytes repeat most.
"""

import numpy as np
import numpy.typing as npt

from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.protocols import IntArray

ByteArray = npt.NDArray[np.uint8]

HASH_MASK = (1 << 30) - 1
HASH_FACTOR = 0x9E3779B1  # 2^32 / golden ratio (Knuth's multiplicative hashing); products stay below 2^63
SURVEY = 512  # bytes between two looks at the data, and of each look
FOLLOWERS = 256 + 65536  # one for each byte, then one for each pair
MAX_PERIOD = 512  # bytes of a record that is looked for
TEXT, RECORD, IMAGE, AUDIO, NUCLEOTIDES = range(5)
MODES = 5
MATCHES = 2  # two match models, of different least lengths

# registers: the model's scalars. MATCH, MATCH_LENGTH and NOTE (the cell of ``positions`` to write next, or -1) have one
# for each match model; LINE and LINE_ABOVE are where lines begin.
(
    LENGTH, RECENT, OLDER, WORD, WORD_1, WORD_2, MATCH, _, MATCH_LENGTH, _, PERIOD, MODE, FIXED_MODE, FRAME, CHANNELS,
    BIG_ENDIAN, SIGNED, LINE, LINE_ABOVE, LINE_HEAD, CLASSES, TAG, BASES, LOW, WIDTH, OFFSET, POSITION, NOTE, _,
    NUM_REGISTERS,
) = range(30)  # fmt: skip

# context numbers
(
    ORDER_1, ORDER_2, ORDER_3, ORDER_4, ORDER_5, ORDER_6, ORDER_7, ORDER_8, WORD_0, WORDS_01, WORDS_02, WORDS_012,
    SKIP_1, SKIP_2, ONLY_2, ONLY_3, BYTES_13, ABOVE_LEFT, ABOVE_2, COLUMN_ABOVE, COLUMN_LEFT, COLUMN_LEFT_2, CORNER,
    LINE_COLUMN, HEAD_WORD, SHAPE, SHAPE_WORD, TAG_WORD, FOLLOWERS_1, FOLLOWERS_2, WORD_2ND, IMAGE_PLANE,
) = range(32)  # fmt: skip
NUM_PIXEL = 14
NUM_SOUND = 14
SOUND = IMAGE_PLANE + NUM_PIXEL
PIXELS = tuple(range(IMAGE_PLANE, IMAGE_PLANE + NUM_PIXEL))
SOUNDS = tuple(range(SOUND, SOUND + NUM_SOUND))
BASES_K = SOUND + NUM_SOUND  # BASES_K + k: the last k nucleotides, without line ends
# a row per mode, the most useful first: a level takes as many as it has contexts with bit histories
PLANS = (
    (ORDER_4, ORDER_3, ORDER_6, WORD_0, ORDER_2, WORDS_01, ORDER_5, ORDER_1,
     WORDS_02, SKIP_1, ORDER_7, BYTES_13, HEAD_WORD, TAG_WORD, LINE_COLUMN, SHAPE_WORD, FOLLOWERS_2, WORDS_012,
     ABOVE_LEFT, SHAPE, FOLLOWERS_1, WORD_2ND, SKIP_2, ONLY_2),
    (ORDER_3, ABOVE_LEFT, ORDER_2, ABOVE_2, ORDER_4, ORDER_1, ORDER_6, SKIP_1,
     COLUMN_ABOVE, BYTES_13, ONLY_2, COLUMN_LEFT_2, COLUMN_LEFT, CORNER, ONLY_3, ORDER_5, FOLLOWERS_2, WORD_0,
     FOLLOWERS_1, SKIP_2, SHAPE, WORDS_01, ORDER_8, LINE_COLUMN),
    (*PIXELS, ORDER_2, ABOVE_LEFT, ABOVE_2, ORDER_3, CORNER, ORDER_1, ONLY_2, BYTES_13, SKIP_1, COLUMN_ABOVE),
    (*SOUNDS, ORDER_2, ABOVE_LEFT, ABOVE_2, ORDER_3, CORNER, ORDER_1, ONLY_2, BYTES_13, SKIP_1, COLUMN_ABOVE),
    tuple(BASES_K + k for k in (12, 16, 11, 20, 9, 14, 18, 24, 10, 13, 22, 7, 6, 5, 4, 3, 2, 1, 8, 15, 17, 19, 21, 23)),
)  # fmt: skip
# the same for plain counters, which suit contexts that recur often
DIRECT_PLANS = (
    (ORDER_2, ORDER_1, ORDER_3, WORD_0, ORDER_4),
    (ORDER_2, ORDER_1, ABOVE_LEFT, ORDER_3, COLUMN_ABOVE),
    (PIXELS[0], PIXELS[1], ORDER_1, PIXELS[3], PIXELS[4]),
    (SOUNDS[0], SOUNDS[1], SOUNDS[3], ORDER_1, SOUNDS[2]),
    (BASES_K + 8, LINE_COLUMN, BASES_K + 6, BASES_K + 3, BASES_K + 4),
)
REFINE_PLAN = (ORDER_2, ORDER_3, WORD_0)  # of the hashed adaptive maps, in every mode


def _class_table() -> npt.NDArray[np.uint8]:
    """Return the class of each byte, 1 to 15: letters of a case are one class, common punctuation is one each."""
    classes = np.zeros(256, dtype=np.uint8)
    for byte in range(256):
        character = chr(byte)
        if byte >= 128:
            classes[byte] = 1
        elif character.islower():
            classes[byte] = 2
        elif character.isupper():
            classes[byte] = 3
        elif character.isdigit():
            classes[byte] = 4
        elif byte < 32:
            classes[byte] = 6 if byte == 10 else 5
        else:
            classes[byte] = 7 + " .,'\"[<&".find(character) + 1 if character in " .,'\"[<&" else 7
    return classes


CLASS = _class_table()


@fragment
def hash_step(value: Integer, more: Integer) -> Integer:
    """Return the 30-bit hash of two numbers below 2^30."""
    return (((value + more + 1) * HASH_FACTOR) >> 17) & HASH_MASK


@lean_kernel
def survey(history: ByteArray, end: Integer, registers: IntArray) -> None:
    """Set the mode and the period from the SURVEY bytes before ``end``."""
    start = end - SURVEY
    textual: Integer = 0
    nucleotides: Integer = 0
    for index in range(start, end):
        byte = np.int64(history[index])
        textual += (32 <= byte < 127) or byte == 9 or byte == 10 or byte == 13
        base = byte & 0xDF  # without the case
        nucleotides += base == 65 or base == 67 or base == 71 or base == 84
    registers[MODE] = NUCLEOTIDES if nucleotides > SURVEY * 15 // 16 else TEXT if textual > SURVEY * 7 // 8 else RECORD
    if registers[MODE] != RECORD:
        return
    best: Integer = 0
    period: Integer = np.int64(registers[PERIOD])
    for distance in range(2, min(MAX_PERIOD, start) + 1):
        equal = 16 if distance == registers[PERIOD] else 0
        now, then = history[start:end], history[start - distance : end - distance]
        for index in range(SURVEY):
            equal += now[index] == then[index]
        if equal > best + 4:  # else a multiple of the period might win by chance
            best, period = equal, distance
    registers[PERIOD] = period


@fragment
def clip(value: Integer) -> Integer:
    """Return the byte nearest to ``value``."""
    return min(255, max(0, value))


@fragment
def pixel_context(number: Integer, history: ByteArray, end: Integer, row: Integer) -> Integer:
    """Return image context ``number`` of the byte at ``end``, in rows of ``row`` bytes: neighbours, linear predictions.

    Only bytes before ``end`` may be read: the encoder's history goes on, the decoder's does not.
    """
    if end < 2 * row + 2:
        return number
    west, north = np.int64(history[end - 1]), np.int64(history[end - row])
    north_west = np.int64(history[end - row - 1])
    north_east = np.int64(history[end - row + 1]) if row > 1 else 0  # in rows of one byte it is the byte to be coded
    west_2, north_2 = np.int64(history[end - 2]), np.int64(history[end - 2 * row])
    plane = clip(west + north - north_west)
    if number == 0:
        return plane
    if number == 1:
        return ((west + north) >> 1) | ((clip((north_east - north + 128) >> 2)) << 8)
    if number == 2:
        return (west << 8) | north
    if number == 3:
        return clip(west + north_east - north) | ((west >> 5) << 8)
    if number == 4:
        return ((west + north_east) >> 1) | ((clip((north - north_west + 256) >> 4)) << 8)
    if number == 5:
        return clip(2 * north - north_2) | ((west >> 4) << 8)
    if number == 6:
        return clip(2 * west - west_2) | ((north >> 4) << 8)
    if number == 7:
        return north | ((north_east >> 3) << 8)
    if number == 8:
        return plane | (((west - north + 256) >> 4) << 8) | (((north_east - north + 256) >> 5) << 16)
    if number == 9:
        return ((west >> 2) << 16) | ((north >> 2) << 8) | (north_west >> 2)
    if number == 10:
        return west
    if number == 11:
        return ((west + north + north_east + north_west) >> 2) | ((west_2 >> 4) << 8)
    if number == 12:
        return (plane << 8) | ((west + north_east) >> 1)
    return north


@fragment
def sample_at(history: ByteArray, at: Integer, registers: IntArray) -> Integer:
    """Return the sample whose first byte is at ``at``, or 0 before the data; the registers say its format."""
    if at < 0:
        return 0
    value = np.int64(history[at])
    if registers[FRAME] == registers[CHANNELS]:
        return value - 256 if registers[SIGNED] == 1 and value > 127 else value
    value = (
        (value << 8) | np.int64(history[at + 1])
        if registers[BIG_ENDIAN] == 1
        else (np.int64(history[at + 1]) << 8) | value
    )
    return value - 65536 if registers[SIGNED] == 1 and value > 32767 else value


@fragment
def sound_context(number: Integer, history: ByteArray, end: Integer, registers: IntArray) -> Integer:
    """Return audio context ``number``: a linear prediction of the sample, less its first byte if that is known."""
    frame = np.int64(registers[FRAME])
    size = frame // np.int64(registers[CHANNELS])
    inside = end % size
    start = end - inside
    left = sample_at(history, start - frame, registers)
    left_2 = sample_at(history, start - 2 * frame, registers)
    left_3 = sample_at(history, start - 3 * frame, registers)
    other = sample_at(history, start - size, registers)
    other_left = sample_at(history, start - size - frame, registers)
    kind = number % 7
    if kind == 0:
        guess = 2 * left - left_2
    elif kind == 1:
        guess = left
    elif kind == 2:
        guess = 3 * left - 3 * left_2 + left_3
    elif kind == 3:
        guess = left + other - other_left
    elif kind == 4:
        guess = (5 * left - 2 * left_2 + left_3) >> 2
    elif kind == 5:
        guess = (
            2 * left
            - left_2
            + ((other - 2 * other_left + sample_at(history, start - size - 2 * frame, registers)) >> 1)
        )
    else:
        guess = (3 * left - left_2) >> 1
    coarse = number // 7  # the second seven contexts have coarser predictions, and the last samples' trend
    if size == 2:
        if inside == 1 and registers[BIG_ENDIAN] == 0:
            guess -= np.int64(history[end - 1])
        if inside == 1 and registers[BIG_ENDIAN] == 1:
            guess -= np.int64(history[end - 1]) << 8
            guess = min(1023, max(-1024, guess))
        guess >>= (4 if inside == 1 or registers[BIG_ENDIAN] == 1 else 2) + 2 * coarse
    else:
        guess >>= coarse
    trend = 0 if coarse == 0 else min(7, max(-8, (left - left_2) >> (7 if size == 2 else 2))) + 8
    return ((((guess & 0xFFFFF) << 1) | inside) << 4) | trend


@lean_kernel
def fill_hashes(
    history: ByteArray,
    end: Integer,
    registers: IntArray,
    followers: npt.NDArray[np.uint32],
    plan: IntArray,
    hashes: IntArray,
) -> None:
    """Write the hash of every context of the byte at ``end`` into ``hashes`` (n,) int64."""
    # In one piece: kernels cannot hold a table of functions, one for each context.
    recent, older = np.int64(registers[RECENT]), np.int64(registers[OLDER])
    byte_1, byte_2, byte_3 = recent & 255, (recent >> 8) & 255, (recent >> 16) & 255
    order_3 = hash_step(recent & 0xFFFFFF, 0)
    order_4 = hash_step(order_3, recent >> 24)
    order_7 = hash_step(order_4, older & 0xFFFFFF)
    word, word_1, word_2 = np.int64(registers[WORD]), np.int64(registers[WORD_1]), np.int64(registers[WORD_2])
    period = np.int64(registers[PERIOD])
    column = end % period
    above: Integer = 0
    above_2: Integer = 0
    corner: Integer = 0
    if end > 2 * period:
        above, above_2 = np.int64(history[end - period]), np.int64(history[end - 2 * period])
        corner = np.int64(history[end - period - 1])
    mode = np.int64(registers[MODE])
    if mode in (TEXT, NUCLEOTIDES):  # rows are lines
        column = end - np.int64(registers[LINE])
        at = np.int64(registers[LINE_ABOVE]) + column
        above = np.int64(history[at]) if at < np.int64(registers[LINE]) else 0
    for slot in range(hashes.shape[0]):
        kind = np.int64(plan[mode, slot])
        value: Integer = 0
        if kind == ORDER_1:
            value = byte_1
        elif kind == ORDER_2:
            value = recent & 0xFFFF
        elif kind == ORDER_3:
            value = order_3
        elif kind == ORDER_4:
            value = order_4
        elif kind == ORDER_5:
            value = hash_step(order_4, older & 255)
        elif kind == ORDER_6:
            value = hash_step(order_4, older & 0xFFFF)
        elif kind == ORDER_7:
            value = order_7
        elif kind == ORDER_8:
            value = hash_step(order_7, older >> 24)
        elif kind == WORD_0:
            value = hash_step(word, byte_1)
        elif kind == WORDS_01:
            value = hash_step(hash_step(word, word_1), byte_1)
        elif kind == WORDS_02:
            value = hash_step(hash_step(word, word_2), byte_1)
        elif kind == WORDS_012:
            value = hash_step(hash_step(word, word_1), word_2)
        elif kind == SKIP_1:
            value = (byte_2 << 8) | byte_3
        elif kind == SKIP_2:
            value = (byte_3 << 8) | (recent >> 24)
        elif kind == ONLY_2:
            value = byte_2
        elif kind == ONLY_3:
            value = byte_3
        elif kind == BYTES_13:
            value = (byte_1 << 8) | byte_3
        elif kind == ABOVE_LEFT:
            value = (above << 8) | byte_1
        elif kind == ABOVE_2:
            value = (above << 8) | above_2
        elif kind == COLUMN_ABOVE:
            value = (column << 8) | above
        elif kind == COLUMN_LEFT:
            value = (column << 8) | byte_1
        elif kind == COLUMN_LEFT_2:
            value = hash_step((column << 8) | byte_1, byte_2)
        elif kind == CORNER:
            value = (((above << 8) | byte_1) << 8) | corner
        elif kind == LINE_COLUMN:
            value = (((min(column, 255) << 8) | above) << 8) | (np.int64(registers[LINE_HEAD]) & 255)
        elif kind == HEAD_WORD:
            value = hash_step(hash_step(word, np.int64(registers[LINE_HEAD])), byte_1)
        elif kind == SHAPE:
            value = hash_step(np.int64(registers[CLASSES]) >> 16, np.int64(registers[CLASSES]) & 0xFFFF)
        elif kind == SHAPE_WORD:
            value = hash_step(hash_step(word, np.int64(registers[CLASSES]) & 0xFFFF), byte_1)
        elif kind == TAG_WORD:
            value = hash_step(hash_step(word, np.int64(registers[TAG])), byte_1)
        elif kind == FOLLOWERS_1:
            value = hash_step(np.int64(followers[byte_1]) & 0xFFFFFF, byte_1)
        elif kind == FOLLOWERS_2:
            value = hash_step(np.int64(followers[256 + (recent & 0xFFFF)]) & 0xFFFF, recent & 0xFFFF)
        elif kind == WORD_2ND:
            value = hash_step(word_1, word_2)
        elif kind < SOUND:
            value = pixel_context(kind - IMAGE_PLANE, history, end, period)
        elif kind < BASES_K:
            value = sound_context(kind - SOUND, history, end, registers)
        else:
            bases = np.int64(registers[BASES]) & ((1 << (2 * (kind - BASES_K))) - 1)
            value = hash_step(bases & 0xFFFFFF, bases >> 24)
        hashes[slot] = hash_step(value & HASH_MASK, kind << 20)


@lean_kernel
def advance(
    registers: IntArray,
    followers: npt.NDArray[np.uint32],
    history: ByteArray,
    end: Integer,
    byte: Integer,
    learning: bool,
) -> None:
    """Append ``byte``, the one before ``end``, to what the registers say of the past; survey every SURVEY bytes.

    A word is a run of letters, whose case is ignored. ``followers`` (FOLLOWERS,) holds the last four bytes that came
    after each byte and each pair of bytes, the latest lowest; it is empty if no context needs it.
    """
    recent = np.int64(registers[RECENT])
    if learning and followers.shape[0] > 0:
        followers[recent & 255] = ((np.int64(followers[recent & 255]) << 8) | byte) & 0xFFFFFFFF
        pair = 256 + (recent & 0xFFFF)
        followers[pair] = ((np.int64(followers[pair]) << 8) | byte) & 0xFFFFFFFF
    registers[OLDER] = ((np.int64(registers[OLDER]) << 8) | (recent >> 24)) & 0xFFFFFFFF
    registers[RECENT] = ((recent << 8) | byte) & 0xFFFFFFFF
    registers[CLASSES] = ((np.int64(registers[CLASSES]) << 4) | np.int64(CLASS[byte])) & 0xFFFFFFFF
    word = np.int64(registers[WORD])
    if 97 <= byte <= 122 or byte >= 128:
        registers[WORD] = hash_step(word, byte)
    elif 65 <= byte <= 90:
        registers[WORD] = hash_step(word, byte + 32)
    elif word != 0:
        registers[WORD_2] = registers[WORD_1]
        registers[WORD_1] = word
        registers[WORD] = 0
    if byte >= 65:
        registers[BASES] = ((np.int64(registers[BASES]) << 2) | ((byte >> 1) & 3)) & 0xFFFFFFFFFFFF
    column = end - np.int64(registers[LINE])
    if byte == 10:
        registers[LINE_ABOVE] = registers[LINE]
        registers[LINE] = end
        registers[LINE_HEAD] = 0
    elif column <= 2:
        registers[LINE_HEAD] = ((np.int64(registers[LINE_HEAD]) << 8) | byte) & 0xFFFF
    # the last bracket or newline; repeated opening brackets, as in [[, have tags of their own
    if byte == 60 or byte == 91 or byte == 123 or byte == 40:  # < [ { (
        registers[TAG] = hash_step(np.int64(registers[TAG]) & 0xFFFFFF if byte == (recent & 255) else 0, byte)
    elif byte == 62 or byte == 93 or byte == 125 or byte == 41 or byte == 10:  # > ] } ) newline
        registers[TAG] = byte
    if end % SURVEY == 0 and registers[FIXED_MODE] == 0:
        survey(history, end, registers)
