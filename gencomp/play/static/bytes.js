// Bytes and the text that stands for them. Bytes that are not UTF-8, or not a character that can be shown, each become a
// private character, so that editing text in a box loses nothing.

const PRIVATE = 0x10ff00; // plus the byte

const PART = 256; // characters

const encoder = new TextEncoder();

// Returns the length of the UTF-8 character at `at`, or 0 if there is none.
function sequence(bytes, at) {
  const first = bytes[at];
  const size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
    : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (size === 0 || at + size > bytes.length) return 0;
  for (let i = 1; i < size; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 0;
  return size;
}

function codePoint(bytes, at, size) {
  if (size === 1) return bytes[at];
  let value = bytes[at] & (0x7f >> size);
  for (let i = 1; i < size; i++) value = (value << 6) | (bytes[at + i] & 0x3f);
  return value;
}

function isShown(code, size) {
  if (size === 3 && code < 0x800) return false;
  if (size === 4 && code < 0x10000) return false;
  if (code < 0x20) return code === 9 || code === 10;
  if (code >= 0x7f && code < 0xa0) return false;
  if (code >= 0xd800 && code < 0xe000) return false;
  if (code === 0x200b || code === 0x200e || code === 0x200f || code === 0xfeff) return false;
  if ((code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f)) return false; // they break lines or change their direction
  return code < PRIVATE;
}

// Returns the characters of `bytes`: where each starts (and, last, where the text ends), its text, and whether it is hex.
export function characters(bytes, unit) {
  const starts = [], texts = [], hex = [];
  for (let at = 0; at < bytes.length;) {
    let size = unit === "bytes" && bytes[at] >= 0x80 ? 0 : sequence(bytes, at);
    const code = size ? codePoint(bytes, at, size) : 0;
    if (size && !isShown(code, size)) size = 0;
    starts.push(at);
    if (size) {
      texts.push(String.fromCodePoint(code));
      hex.push(false);
      at += size;
    } else {
      texts.push(bytes[at].toString(16).toUpperCase().padStart(2, "0"));
      hex.push(true);
      at += 1;
    }
  }
  starts.push(bytes.length);
  return { starts, texts, hex, count: texts.length };
}

// Returns the text that a box shows for `bytes`.
export function toText(bytes) {
  const found = characters(bytes, "characters");
  return found.texts.map((text, i) => (found.hex[i] ? String.fromCodePoint(PRIVATE + bytes[found.starts[i]]) : text))
    .join("");
}

// Returns the bytes that a box's text stands for.
export function toBytes(text) {
  const parts = [];
  let run = "";
  for (const char of text) {
    const code = char.codePointAt(0);
    if (code >= PRIVATE) {
      if (run) parts.push(encoder.encode(run));
      parts.push(Uint8Array.of(code - PRIVATE));
      run = "";
    } else run += char;
  }
  if (run) parts.push(encoder.encode(run));
  return joined(...parts);
}

export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function commonLength(one, other) {
  const size = Math.min(one.length, other.length);
  let at = 0;
  while (at < size && one[at] === other[at]) at++;
  return at;
}

export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

// Returns the index of the character that contains the byte `position`.
export function characterAt(chars, position) {
  let low = 0, high = chars.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chars.starts[middle + 1] <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Returns the indices of the characters at which the parts of the text begin. Parts are drawn separately. A part ends with
// a line, or, if lines are very long, after some number of characters, at a space if there is one.
export function partsOf(chars) {
  const starts = [];
  for (let first = 0; first < chars.count;) {
    starts.push(first);
    let next = first;
    while (next < chars.count) {
      const text = chars.texts[next++], size = next - first;
      if ((text === "\n" && size >= PART) || (text === " " && size >= 3 * PART) || size >= 4 * PART) break;
    }
    first = next;
  }
  return starts;
}

// Returns the index of the last of the ascending numbers that is not above `value`, or 0 if all are.
export function lastUpTo(numbers, value) {
  let low = 0, high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (numbers[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

// Returns a byte as people read it.
export function label(byte) {
  if (byte === 0x20) return "␣";
  if (byte === 0x0a) return "⏎";
  if (byte === 0x09) return "⇥";
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

export function spoken(byte) {
  const names = { 0x20: "space", 0x0a: "line end", 0x09: "tab" };
  return names[byte] ?? (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `byte ${label(byte)}`);
}
