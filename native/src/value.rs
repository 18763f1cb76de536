//! Values, canonical bytes, digests, times and base64 (rules V1 to V6).
//!
//! Every number is an integer of V1 or a finite double.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// A raw SHA-256.
pub type Digest = [u8; 32];

/// Nested arrays and objects that V1 allows in one text.
pub const MAX_DEPTH: usize = 64;
/// The largest magnitude of an integer (V1).
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A JSON value.
#[derive(Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Finite.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// The members of an object in their order; no name is repeated.
#[derive(Debug, Default)]
pub struct Object<'a> {
    pub members: Vec<(Cow<'a, str>, Value<'a>)>,
    /// The bytes of the object in MessagePack, if that is what was read.
    pub packed: &'a [u8],
}

impl<'a> Value<'a> {
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn filled_text(&self) -> Option<&str> {
        self.text().filter(|text| !text.is_empty())
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether this is the string.
    pub fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }

    /// Returns how deep arrays and objects nest: 0 for a scalar, 1 for `{}`.
    pub fn nesting(&self) -> usize {
        match self {
            Value::List(items) => 1 + items.iter().map(Value::nesting).max().unwrap_or(0),
            Value::Object(object) => object.nesting(),
            _ => 0,
        }
    }

    /// Appends the canonical bytes (V2).
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(number) => write_integer(*number, out),
            Value::Float(number) => write_float(*number, out),
            Value::Text(text) => write_text(text, out),
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(object) => object.write(out),
        }
    }

    /// Returns the canonical bytes (V2).
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out);
        out
    }
}

impl<'a> Object<'a> {
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.members
            .iter()
            .find(|(one, _)| one == name)
            .map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    pub fn filled_text(&self, name: &str) -> Option<&str> {
        self.get(name)?.filled_text()
    }

    pub fn object(&self, name: &str) -> Option<&Object<'a>> {
        self.get(name)?.object()
    }

    pub fn list(&self, name: &str) -> Option<&[Value<'a>]> {
        self.get(name)?.list()
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.integer()
    }

    /// Whether it has exactly so many members; with `get` of each, exactly these.
    pub fn has_members(&self, count: usize) -> bool {
        self.members.len() == count
    }

    pub fn nesting(&self) -> usize {
        1 + self
            .members
            .iter()
            .map(|(_, value)| value.nesting())
            .max()
            .unwrap_or(0)
    }

    /// Returns the members ascending by name: by code point, which is the order of UTF-8 (V2).
    pub fn sorted(&self) -> Vec<&(Cow<'a, str>, Value<'a>)> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_unstable_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
        members
    }

    /// Appends the canonical bytes (V2).
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        for (name, value) in self.sorted() {
            out.push(separator);
            separator = b',';
            write_text(name, out);
            out.push(b':');
            value.write(out);
        }
        if separator == b'{' {
            out.push(separator);
        }
        out.push(b'}');
    }

    /// Returns the canonical bytes (V2).
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out);
        out
    }
}

pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// Appends a float as V2 writes it: the `repr` of CPython.
///
/// The shortest digits that give the same double; with an exponent below 1e-4 and from 1e16.
pub fn write_float(number: f64, out: &mut Vec<u8>) {
    let scientific = shortest(number.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = digits.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let text = if !(-4..16).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{first}{point}{rest}e{sign}{:02}", exponent.abs())
    } else if exponent < 0 {
        format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize))
    } else {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<whole$}");
        let (integer, fraction) = padded.split_at(whole);
        format!(
            "{integer}.{}",
            if fraction.is_empty() { "0" } else { fraction }
        )
    };
    out.extend_from_slice(text.as_bytes());
}

/// Returns the shortest digits that give the same double, of two as close the even ones.
///
/// The library rounds up what is halfway between two of them, and CPython to the even one.
fn shortest(number: f64) -> String {
    let found = format!("{number:e}");
    let digits = found.bytes().take_while(|byte| *byte != b'e');
    let decimals = digits.count().saturating_sub(2);
    let even = format!("{number:.decimals$e}");
    let is_same = even.parse() == Ok(number);
    if is_same {
        even
    } else {
        found
    }
}

/// Appends a string as V2 writes it: UTF-8, with the short escapes, `\u00xx` for other controls.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(index) = first_special(rest) {
        out.extend_from_slice(&rest[..index]);
        write_escape(rest[index], out);
        rest = &rest[index + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Returns the place of the first byte that a JSON string escapes: `"`, `\`, or a control.
pub fn first_special(bytes: &[u8]) -> Option<usize> {
    const WIDTH: usize = 16;
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut start = 0;
    // All of a block is looked at without a branch: the compiler makes it a few instructions.
    for block in bytes.chunks_exact(WIDTH) {
        if block
            .iter()
            .fold(false, |found, byte| found | is_special(*byte))
        {
            break;
        }
        start += WIDTH;
    }
    let rest = bytes[start..].iter();
    rest.copied()
        .position(is_special)
        .map(|index| start + index)
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Returns how many values of a text are read: few more than one in so many bytes.
///
/// A value takes more memory here than in a text. What consists of tiny ones is left to Python.
pub fn most_values(size: usize, bytes: usize) -> usize {
    8192 + size / bytes
}

// V3: digests -------------------------------------------------------------------------------

pub fn sha256(data: &[u8]) -> Digest {
    Sha256::digest(data).into()
}

pub fn hex(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * data.len());
    for byte in data {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Returns the bytes of lowercase hexadecimal digits; None for any other text.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

/// Whether a text is a digest as V3 prints it.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

// V5: times ---------------------------------------------------------------------------------

/// Returns the instant that a time names, in microseconds since 1970-01-01T00:00:00Z (V5).
pub fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        bytes.get(from..to)?.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let zone_at = if text.ends_with('Z') {
        bytes.len() - 1
    } else if text.ends_with("+00:00") {
        bytes.len() - 6
    } else {
        return None;
    };
    let fraction = match zone_at.checked_sub(19)? {
        0 => 0,
        digits @ 2..=7 if bytes[19] == b'.' => {
            number(20, zone_at)? * 10_i64.pow(7 - u32::try_from(digits).ok()?)
        }
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !is_time || year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let seconds = days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + fraction)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
    let years = year - 1;
    let before: i64 = (1..month).map(|one| days_in(year, one)).sum();
    years * 365 + leap_days(years) + before + day - 1 - 719_162
}

// V6: base64 --------------------------------------------------------------------------------

/// Returns the bytes of strict base64: padded, unused bits zero, at least one byte (V6).
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() % 4 != 0 {
        return None;
    }
    let padding = bytes
        .iter()
        .rev()
        .take(2)
        .take_while(|byte| **byte == b'=')
        .count();
    let (mut out, mut bits, mut held) = (Vec::with_capacity(bytes.len() / 4 * 3), 0_u32, 0);
    for byte in &bytes[..bytes.len() - padding] {
        let digit = BASE64_DIGITS[usize::from(*byte)];
        if digit == NO_DIGIT {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

const NO_DIGIT: u8 = 0xff;
const BASE64_DIGITS: [u8; 256] = {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut digits, mut at) = ([NO_DIGIT; 256], 0);
    while at < letters.len() {
        digits[letters[at] as usize] = at as u8;
        at += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    fn float(number: f64) -> String {
        let mut out = Vec::new();
        write_float(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_written_as_cpython_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e15, "1000000000000000.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e-4, "0.0001"),
            (9.999e-5, "9.999e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.5 + f64::powi(2.0, -17), "1.5000076293945312"),
            (771_362_026_848_404.0 + 0.25, "771362026848404.2"),
            (f64::powi(2.0, -44), "5.684341886080802e-14"),
        ];
        for (number, text) in cases {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn floats_are_read_back() {
        let mut bits: u64 = 1;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                assert_eq!(float(number).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }

    #[test]
    fn times_are_microseconds() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("2000-02-29T00:00:00.000001+00:00", 951_782_400_000_001),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ];
        for (text, number) in cases {
            assert_eq!(instant(text), Some(number), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        let good = "2026-01-01T00:00:00Z";
        for at in 0..good.len() {
            for byte in [" ", "Z", "", "\u{661}", "/", ":"] {
                let text = [&good[..at], byte, &good[at + 1..]].concat();
                assert!(text == good || instant(&text).is_none(), "{text}");
            }
        }
        for text in [
            "0000-01-01T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-01-01T00:00:00.Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn base64_is_strict() {
        for (text, data) in [
            ("AA==", &[0][..]),
            ("+/8=", &[251, 255]),
            ("AAAA", &[0, 0, 0]),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(data));
        }
        let refused = [
            "", "=", "====", "A===", "AB==", "AAB=", "AA=A", "AAAA====", "AAA", "-_==",
        ];
        for text in refused
            .into_iter()
            .chain(["AA==\n", "A A=", "AAAAA===", "\u{661}A="])
        {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_escaped_wherever_a_block_ends() {
        for length in 0..70 {
            for (letter, escaped) in [("\"", "\\\""), ("\u{1}", "\\u0001"), ("\n", "\\n")] {
                let mut out = Vec::new();
                write_text(
                    &["a".repeat(length).as_str(), letter, "\u{e9}\u{7f}"].concat(),
                    &mut out,
                );
                let expected = format!("\"{}{escaped}\u{e9}\u{7f}\"", "a".repeat(length));
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }
}
