//! MessagePack in its shortest form, of the values of V1.

use std::borrow::Cow;

use crate::json::are_distinct;
use crate::value::{most_values, Object, Value, MAX_DEPTH, MAX_INTEGER};

/// Returns the value of one MessagePack text.
///
/// None if V1 refuses it, or if a part of it is not in its shortest form: floats have 64 bits.
pub fn read(data: &[u8]) -> Option<Value<'_>> {
    let mut reader = Reader::new(data);
    let value = reader.value(0)?;
    reader.is_at_end().then_some(value)
}

/// Reads values one after the other.
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    /// How many more values are read.
    left: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Reader<'a> {
        Reader {
            data,
            at: 0,
            left: most_values(data.len(), 4),
        }
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.data.len()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.data.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// Reads an unsigned integer of so many bytes; None if it is below `least`.
    fn number(&mut self, bytes: usize, least: u64) -> Option<u64> {
        let number = self
            .take(bytes)?
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        (number >= least).then_some(number)
    }

    fn size(&mut self, bytes: usize, least: u64) -> Option<usize> {
        usize::try_from(self.number(bytes, least)?).ok()
    }

    fn signed(&mut self, bytes: usize, most: i64) -> Option<Value<'a>> {
        let unused = 64 - 8 * bytes;
        let number = (self.number(bytes, 0)? << unused) as i64 >> unused;
        (-MAX_INTEGER..=most)
            .contains(&number)
            .then_some(Value::Int(number))
    }

    fn unsigned(&mut self, bytes: usize, least: u64) -> Option<Value<'a>> {
        let number = i64::try_from(self.number(bytes, least)?).ok()?;
        (number <= MAX_INTEGER).then_some(Value::Int(number))
    }

    pub fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let start = self.at;
        self.left = self.left.checked_sub(1)?;
        let head = self.byte()?;
        match head {
            0x00..=0x7f => Some(Value::Int(i64::from(head))),
            0x80..=0x8f => self.object(usize::from(head & 15), depth, start),
            0x90..=0x9f => self.list(usize::from(head & 15), depth),
            0xa0..=0xbf => self.text(usize::from(head & 31)).map(Value::Text),
            0xc0 => Some(Value::Null),
            0xc2 => Some(Value::Bool(false)),
            0xc3 => Some(Value::Bool(true)),
            0xcb => self.float(),
            0xcc => self.unsigned(1, 1 << 7),
            0xcd => self.unsigned(2, 1 << 8),
            0xce => self.unsigned(4, 1 << 16),
            0xcf => self.unsigned(8, 1 << 32),
            0xd0 => self.signed(1, -33),
            0xd1 => self.signed(2, -(1 << 7) - 1),
            0xd2 => self.signed(4, -(1 << 15) - 1),
            0xd3 => self.signed(8, -(1 << 31) - 1),
            0xd9 => self
                .size(1, 32)
                .and_then(|size| self.text(size))
                .map(Value::Text),
            0xda => self
                .size(2, 1 << 8)
                .and_then(|size| self.text(size))
                .map(Value::Text),
            0xdb => self
                .size(4, 1 << 16)
                .and_then(|size| self.text(size))
                .map(Value::Text),
            0xdc => self.size(2, 16).and_then(|count| self.list(count, depth)),
            0xdd => self
                .size(4, 1 << 16)
                .and_then(|count| self.list(count, depth)),
            0xde => self
                .size(2, 16)
                .and_then(|count| self.object(count, depth, start)),
            0xdf => self
                .size(4, 1 << 16)
                .and_then(|count| self.object(count, depth, start)),
            0xe0..=0xff => Some(Value::Int(i64::from(head as i8))),
            _ => None, // short floats, byte strings, extensions
        }
    }

    fn float(&mut self) -> Option<Value<'a>> {
        let number = f64::from_bits(self.number(8, 0)?);
        number.is_finite().then_some(Value::Float(number))
    }

    fn text(&mut self, size: usize) -> Option<Cow<'a, str>> {
        std::str::from_utf8(self.take(size)?)
            .ok()
            .map(Cow::Borrowed)
    }

    fn name(&mut self) -> Option<Cow<'a, str>> {
        match self.value(MAX_DEPTH)? {
            Value::Text(name) => Some(name),
            _ => None,
        }
    }

    fn list(&mut self, count: usize, depth: usize) -> Option<Value<'a>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let mut items = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Some(Value::List(items))
    }

    fn object(&mut self, count: usize, depth: usize, start: usize) -> Option<Value<'a>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let mut members = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            members.push((self.name()?, self.value(depth + 1)?));
        }
        let packed = &self.data[start..self.at];
        are_distinct(&members).then_some(Value::Object(Object { members, packed }))
    }

    // The parts of an arrival's content, which are not always in their shortest form ---------

    /// Reads the head of a list; returns its length.
    pub fn list_head(&mut self) -> Option<usize> {
        match self.byte()? {
            head @ 0x90..=0x9f => Some(usize::from(head & 15)),
            0xdc => self.size(2, 0),
            0xdd => self.size(4, 0),
            _ => None,
        }
    }

    /// Reads a byte string.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = match self.byte()? {
            0xc4 => self.size(1, 0)?,
            0xc5 => self.size(2, 0)?,
            0xc6 => self.size(4, 0)?,
            _ => return None,
        };
        self.take(size)
    }
}

// Writing -----------------------------------------------------------------------------------

/// Appends a value in its shortest form.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(one) => out.push(0xc2 + u8::from(*one)),
        Value::Int(number) => write_integer(*number, out),
        Value::Float(number) => write_number(0xcb, &number.to_be_bytes(), out),
        Value::Text(text) => write_text(text, out),
        Value::List(items) => {
            write_head(items.len(), (0x90, 15), &[(0xdc, 2), (0xdd, 4)], out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(object) => write_object(object, out),
    }
}

/// Appends an object in its shortest form: as it was read, if that was MessagePack.
pub fn write_object(object: &Object<'_>, out: &mut Vec<u8>) {
    if !object.packed.is_empty() {
        return out.extend_from_slice(object.packed);
    }
    write_head(
        object.members.len(),
        (0x80, 15),
        &[(0xde, 2), (0xdf, 4)],
        out,
    );
    for (name, value) in &object.members {
        write_text(name, out);
        write(value, out);
    }
}

pub fn write_text(text: &str, out: &mut Vec<u8>) {
    write_head(
        text.len(),
        (0xa0, 31),
        &[(0xd9, 1), (0xda, 2), (0xdb, 4)],
        out,
    );
    out.extend_from_slice(text.as_bytes());
}

pub fn write_bytes(data: &[u8], out: &mut Vec<u8>) {
    write_sized(data.len(), &[(0xc4, 1), (0xc5, 2), (0xc6, 4)], out);
    out.extend_from_slice(data);
}

pub fn write_list_head(count: usize, out: &mut Vec<u8>) {
    write_head(count, (0x90, 15), &[(0xdc, 2), (0xdd, 4)], out);
}

/// Appends the head of a list as an arrival's content has it: short, or with four bytes.
pub fn write_content_head(count: usize, out: &mut Vec<u8>) {
    write_head(count, (0x90, 15), &[(0xdd, 4)], out);
}

pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        -32..=0x7f => out.push(bytes[7]),
        -0x80..=-33 => out.extend_from_slice(&[0xd0, bytes[7]]),
        -0x8000..=-0x81 => write_number(0xd1, &bytes[6..], out),
        -0x8000_0000..=-0x8001 => write_number(0xd2, &bytes[4..], out),
        i64::MIN..=-0x8000_0001 => write_number(0xd3, &bytes, out),
        _ => write_sized_integer(number as u64, out),
    }
}

fn write_sized_integer(number: u64, out: &mut Vec<u8>) {
    let forms = [(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)];
    let (head, bytes) = forms
        .into_iter()
        .find(|form| fits(number, form.1))
        .unwrap_or((0xcf, 8));
    write_number(head, &number.to_be_bytes()[8 - bytes..], out);
}

fn write_number(head: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(head);
    out.extend_from_slice(bytes);
}

fn fits(number: u64, bytes: usize) -> bool {
    bytes >= 8 || number < 1 << (8 * bytes)
}

/// Appends a head with the size in its low bits, up to a greatest, or in the bytes after it.
fn write_head(size: usize, short: (u8, usize), forms: &[(u8, usize)], out: &mut Vec<u8>) {
    if size <= short.1 {
        out.push(short.0 | size as u8);
    } else {
        write_sized(size, forms, out);
    }
}

fn write_sized(size: usize, forms: &[(u8, usize)], out: &mut Vec<u8>) {
    let size = size as u64;
    let found = forms.iter().find(|form| fits(size, form.1));
    let (head, bytes) = *found.expect("no part of a bundle has 2^32 bytes");
    write_number(head, &size.to_be_bytes()[8 - bytes..], out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn packed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write(&json::read(text.as_bytes()).unwrap(), &mut out);
        out
    }

    #[test]
    fn values_survive() {
        let many = format!("[{}]", vec!["\"a text of usual size\""; 70_000].join(","));
        let long = format!("\"{}\"", "a".repeat(70_000));
        let texts = [
            "[31,32,-32,-33,127,128,-128,-129,255,256,65535,65536,-32768,-32769]",
            "[4294967295,4294967296,-2147483648,-2147483649,9007199254740991,-9007199254740991]",
            r#"{"a":[null,true,false,{},[],"",1.5,-0.0,5e-324]}"#,
            &many,
            &long,
        ];
        for text in texts {
            let data = packed(text);
            let value = read(&data).unwrap();
            assert_eq!(String::from_utf8(value.canonical()).unwrap(), text);
            let mut again = Vec::new();
            write(&value, &mut again);
            assert_eq!(again, data);
        }
    }

    #[test]
    fn only_shortest_forms_of_json_are_read() {
        let texts: [&[u8]; 25] = [
            b"",
            b"\xc1",
            b"\xc4\x00",
            b"\xc7\x00\x00",
            b"\xd4\x00\x00",
            b"\xca\0\0\0\0",
            b"\xcb\x7f\xf8\0\0\0\0\0\0",
            b"\xcb\xff\xf0\0\0\0\0\0\0",
            b"\xcc\x7f",
            b"\xcd\x00\xff",
            b"\xce\0\0\xff\xff",
            b"\xcf\0\0\0\0\xff\xff\xff\xff",
            b"\xcf\0\x20\0\0\0\0\0\0",
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xd0\xe0",
            b"\xd0\x01",
            b"\xd1\xff\x80",
            b"\xd3\x80\0\0\0\0\0\0\0",
            b"\xd9\x01a",
            b"\xdc\x00\x00",
            b"\xdd\xff\xff\xff\xff",
            b"\x81\x01\x02",
            b"\x82\xa1a\x01\xa1a\x02",
            b"\xa1\xff",
            b"\x00\x00",
        ];
        for data in texts {
            assert!(read(data).is_none(), "{data:x?}");
        }
    }

    #[test]
    fn nesting_ends_at_64() {
        assert!(read(&[[0x91; 63].as_slice(), &[0x90]].concat()).is_some());
        assert!(read(&[[0x91; 64].as_slice(), &[0x90]].concat()).is_none());
        assert!(read(&[0x91; 1_000_000]).is_none());
    }
}
