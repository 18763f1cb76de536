//! Strict JSON (rule V1; RFC 8259).

use std::borrow::Cow;

use crate::value::{first_special, most_values, Object, Value, MAX_DEPTH, MAX_INTEGER};

/// Returns the value of one JSON text; None if V1 refuses it, if it holds `-0`, or too many values for its size.
pub fn read(data: &[u8]) -> Option<Value<'_>> {
    let mut reader = Reader {
        text: std::str::from_utf8(data).ok()?,
        at: 0,
        left: most_values(data.len(), 16),
    };
    let value = reader.value(0)?;
    reader.skip_space();
    (reader.at == data.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more values are read.
    left: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Skips white space and one character; None if it is another.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        self.take(byte).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.skip_space();
        self.left = self.left.checked_sub(1)?;
        match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(depth + 1),
            b'[' if depth < MAX_DEPTH => self.list(depth + 1),
            b'"' => self.string().map(Value::Text),
            b'n' => self.literal("null", Value::Null),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn literal(&mut self, name: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.text[self.at..].starts_with(name).then(|| {
            self.at += name.len();
            value
        })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let is_negative = self.take(b'-');
        let digits = self.digits()?;
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        let is_float = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if is_float {
            return self.float(start);
        }
        let number: i64 = digits.parse().ok()?;
        let is_sound = number <= MAX_INTEGER && !(is_negative && number == 0);
        is_sound.then_some(Value::Int(if is_negative { -number } else { number }))
    }

    fn digits(&mut self) -> Option<&'a str> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then(|| &self.text[start..self.at])
    }

    /// Reads fraction and exponent of the number that began at `start`.
    fn float(&mut self, start: usize) -> Option<Value<'a>> {
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number: f64 = self.text[start..self.at].parse().ok()?;
        number.is_finite().then_some(Value::Float(number))
    }

    fn list(&mut self, depth: usize) -> Option<Value<'a>> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Some(Value::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value<'a>> {
        self.expect(b'{')?;
        let mut members = Vec::with_capacity(1);
        self.skip_space();
        if self.take(b'}') {
            return Some(Value::Object(Object::default()));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.expect(b':')?;
            members.push((name, self.value(depth)?));
            self.skip_space();
            if self.take(b'}') {
                let is_sound = are_distinct(&members);
                return is_sound.then_some(Value::Object(Object {
                    members,
                    packed: &[],
                }));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        self.skip_plain();
        if self.take(b'"') {
            return Some(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            let start = self.at;
            self.skip_plain();
            text.push_str(&self.text[start..self.at]);
            if self.take(b'"') {
                return Some(Cow::Owned(text));
            }
            text.push(self.escape()?);
        }
    }

    /// Skips the characters of a string that stand for themselves.
    fn skip_plain(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += first_special(rest).unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Option<char> {
        if !self.take(b'\\') {
            return None; // a control character, or the end of the text
        }
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' => Some(byte as char),
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{c}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => self.unicode_escape(),
            _ => None,
        }
    }

    /// Reads the digits of `\u`; a surrogate needs its partner.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !(self.take(b'\\') && self.take(b'u')) {
            return None;
        }
        let second = self.hex_digits()?;
        let is_pair = (0xdc00..0xe000).contains(&second);
        is_pair.then(|| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)))?
    }

    fn hex_digits(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, byte| {
            Some(sum << 4 | (*byte as char).to_digit(16)?)
        })
    }
}

const FEW: usize = 16;

/// Whether no name is repeated.
pub fn are_distinct(members: &[(Cow<'_, str>, Value<'_>)]) -> bool {
    if members.len() > FEW {
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        return names.windows(2).all(|pair| pair[0] != pair[1]);
    }
    let is_new = |(index, (name, _)): (usize, &(Cow<'_, str>, Value<'_>))| {
        members[..index].iter().all(|(other, _)| other != name)
    };
    members.iter().enumerate().all(is_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        read(text.as_bytes()).map(|value| String::from_utf8(value.canonical()).unwrap())
    }

    #[test]
    fn values_come_back_in_canonical_form() {
        let cases = [
            (
                " [ 1 , -1,\t1.0, 1E5, -0.0 ]\r\n",
                "[1,-1,1.0,100000.0,-0.0]",
            ),
            (r#"{"b":1,"a":{},"":[]}"#, r#"{"":[],"a":{},"b":1}"#),
            (
                r#""\u00e9\ud83d\uDE00\/\u0000\b""#,
                "\"\u{e9}\u{1f600}/\\u0000\\b\"",
            ),
            ("9007199254740991", "9007199254740991"),
            ("1e-400", "0.0"),
            ("null", "null"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_strict_is_refused() {
        let texts = [
            "",
            " ",
            "nul",
            "nullx",
            "[1,]",
            "[,1]",
            "{,}",
            "[1",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "-",
            "+1",
            ".1",
            "1.",
            "1e",
            "1e+",
            "NaN",
            "Infinity",
            "1e309",
            "9007199254740992",
            "-9007199254740992",
            "99999999999999999999",
            "-0",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\n\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\u00\"",
            "\"\\u+123\"",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            "[] []",
            "\u{feff}1",
            "'a'",
            "\u{a0}1",
        ];
        for text in texts {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert!(read(b"\"\xff\"").is_none() && read(b"\"\xed\xa0\x80\"").is_none());
    }

    #[test]
    fn repeated_names_are_found_among_many() {
        let names: Vec<String> = (0..100).map(|one| format!("\"{one}\":0")).collect();
        assert!(canonical(&format!("{{{}}}", names.join(","))).is_some());
        assert!(canonical(&format!("{{{},\"7\":0}}", names.join(","))).is_none());
    }

    #[test]
    fn nesting_ends_at_64() {
        for depth in [1, 64] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(read(text.as_bytes()).map(|one| one.nesting()), Some(depth));
        }
        for depth in [65, 100_000] {
            assert!(read("[".repeat(depth).as_bytes()).is_none());
            assert!(read("{\"\":".repeat(depth).as_bytes()).is_none());
        }
    }
}
