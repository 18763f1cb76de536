//! A SQLite file that holds plain tables (the SQLite database file format, sections 1 and 2).
//!
//! Pages have 64 KiB and no row overflows its page: what does not fit is refused.

const PAGE_BYTES: usize = 1 << 16;
const HEADER_BYTES: usize = 100;
const LEAF: u8 = 0x0d;
const INTERIOR: u8 = 0x05;
const LEAF_HEADER: usize = 8;
const INTERIOR_HEADER: usize = 12;
/// The bytes of a page that a cell needs beside its own: its entry in the array of pointers.
const POINTER_BYTES: usize = 2;
/// The longest payload that SQLite keeps on one page: its size less 35.
const MOST_PAYLOAD: usize = PAGE_BYTES - 35;
/// Schema format 4, UTF-8, and the version of SQLite whose format this is.
const SCHEMA_FORMAT: u32 = 4;
const UTF_8: u32 = 1;
const SQLITE_VERSION: u32 = 3_040_001;

/// A value of a column.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// A text that may be missing.
    pub fn optional(text: Option<&'a str>) -> Cell<'a> {
        text.map_or(Cell::Null, Cell::Text)
    }
}

/// A table: its statement, and its rows as records of SQLite.
pub struct Table {
    pub name: String,
    create: String,
    /// Whether the first column is the primary key, an integer: then SQLite keeps it as the rowid.
    is_numbered: bool,
    /// The rowid of each row, and the place of its record in `data`.
    rows: Vec<(i64, usize, usize)>,
    data: Vec<u8>,
}

impl Table {
    pub fn new(name: String, create: String, is_numbered: bool) -> Table {
        Table {
            name,
            create,
            is_numbered,
            rows: Vec::new(),
            data: Vec::new(),
        }
    }

    /// The number of rows, to which `truncate` goes back.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Removes all rows after the first ones.
    pub fn truncate(&mut self, count: usize) {
        self.rows.truncate(count);
        self.data
            .truncate(self.rows.last().map_or(0, |(_, _, end)| *end));
    }

    /// Adds a row; None if it does not fit on a page.
    pub fn add(&mut self, cells: &[Cell<'_>]) -> Option<()> {
        let (rowid, first) = match (self.is_numbered, cells.first()) {
            (true, Some(Cell::Integer(number))) => (*number, Some(Cell::Null)),
            (true, _) => return None,
            (false, first) => (self.rows.len() as i64 + 1, first.copied()),
        };
        let start = self.data.len();
        write_record(first.iter().chain(cells.iter().skip(1)), &mut self.data);
        let is_short = self.data.len() - start <= MOST_PAYLOAD;
        if is_short {
            self.rows.push((rowid, start, self.data.len()));
        } else {
            self.data.truncate(start);
        }
        is_short.then_some(())
    }
}

/// Appends a record (section 2.1).
fn write_record<'c, 'a: 'c>(cells: impl Iterator<Item = &'c Cell<'a>> + Clone, out: &mut Vec<u8>) {
    let kinds: usize = cells.clone().map(|one| varint_bytes(kind(one))).sum();
    // The size of the header counts itself: one byte, or two from 127 on.
    let header = kinds as u64 + if kinds < 127 { 1 } else { 2 };
    write_varint(header, out);
    cells.clone().for_each(|one| write_varint(kind(one), out));
    for one in cells {
        match one {
            Cell::Null => (),
            Cell::Integer(number) => {
                out.extend_from_slice(&number.to_be_bytes()[8 - integer_bytes(*number)..]);
            }
            Cell::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// Returns the serial type of a value.
fn kind(cell: &Cell<'_>) -> u64 {
    match cell {
        Cell::Null => 0,
        Cell::Integer(number @ 0..=1) => 8 + *number as u64,
        Cell::Integer(number) => match integer_bytes(*number) {
            6 => 5,
            8 => 6,
            bytes => bytes as u64,
        },
        Cell::Text(text) => 13 + 2 * text.len() as u64,
    }
}

/// Returns the bytes of an integer in a record: those for 0 and 1 are in the type.
fn integer_bytes(number: i64) -> usize {
    let fits = |bytes: &usize| (-1_i64 << (8 * bytes - 1)..1 << (8 * bytes - 1)).contains(&number);
    match number {
        0 | 1 => 0,
        _ => [1, 2, 3, 4, 6].into_iter().find(fits).unwrap_or(8),
    }
}

fn varint_bytes(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    if bits > 56 {
        9
    } else {
        bits.div_ceil(7)
    }
}

fn write_varint(number: u64, out: &mut Vec<u8>) {
    let bytes = varint_bytes(number);
    if bytes == 9 {
        (0..8).for_each(|at| out.push((number >> (57 - 7 * at)) as u8 | 0x80));
        out.push(number as u8);
        return;
    }
    for at in (0..bytes).rev() {
        let more = if at > 0 { 0x80 } else { 0 };
        out.push((number >> (7 * at)) as u8 & 0x7f | more);
    }
}

/// Returns a file with these tables; None if two rows of one have the same number.
pub fn write(tables: &mut [Table]) -> Option<Vec<u8>> {
    let mut file = vec![0; PAGE_BYTES]; // page 1 is written last
    let mut schema = Table::new(String::new(), String::new(), false);
    for table in tables {
        let root = i64::from(write_tree(table, &mut file)?);
        schema.add(&[
            Cell::Text("table"),
            Cell::Text(&table.name),
            Cell::Text(&table.name),
            Cell::Integer(root),
            Cell::Text(&table.create),
        ])?;
    }
    let mut page = Page::new(LEAF, HEADER_BYTES);
    for (rowid, start, end) in &schema.rows {
        page.add_row(*rowid, &schema.data[*start..*end])?;
    }
    let mut first = page.finish(0);
    let pages = u32::try_from(file.len() / PAGE_BYTES).ok()?;
    first[..HEADER_BYTES].copy_from_slice(&file_header(pages));
    file[..PAGE_BYTES].copy_from_slice(&first);
    Some(file)
}

/// Returns the header of a file of so many pages (section 1.3).
fn file_header(pages: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..16].copy_from_slice(b"SQLite format 3\0");
    // Page size 65,536 is written as 1; then read and write version, and fixed fractions.
    header[16..24].copy_from_slice(&[0, 1, 1, 1, 0, 64, 32, 32]);
    let numbers = [
        (24, 1),
        (28, pages),
        (40, 1),
        (44, SCHEMA_FORMAT),
        (56, UTF_8),
        (92, 1),
        (96, SQLITE_VERSION),
    ];
    for (at, number) in numbers {
        header[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    header
}

/// Appends the pages of a table; returns the number of its root.
fn write_tree(table: &mut Table, file: &mut Vec<u8>) -> Option<u32> {
    if !table.rows.is_sorted_by_key(|row| row.0) {
        table.rows.sort_unstable_by_key(|row| row.0);
    }
    if table.rows.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let mut level = Vec::new(); // the number of each page, and its greatest rowid
    let mut page = Page::new(LEAF, 0);
    for (rowid, start, end) in &table.rows {
        let payload = &table.data[*start..*end];
        if page.add_row(*rowid, payload).is_none() {
            level.push((append(page.finish(0), file)?, page.last));
            page = Page::new(LEAF, 0);
            page.add_row(*rowid, payload)?;
        }
    }
    level.push((append(page.finish(0), file)?, page.last));
    while level.len() > 1 {
        level = write_interior(&level, file)?;
    }
    level.first().map(|one| one.0)
}

/// Appends the pages above others.
fn write_interior(below: &[(u32, i64)], file: &mut Vec<u8>) -> Option<Vec<(u32, i64)>> {
    let mut level = Vec::new();
    let pages = below.len().div_ceil(MOST_CHILDREN);
    for group in below.chunks(below.len().div_ceil(pages)) {
        let (last, children) = group.split_last()?;
        let mut page = Page::new(INTERIOR, 0);
        for (child, rowid) in children {
            page.add_child(*child, *rowid)?;
        }
        level.push((append(page.finish(last.0), file)?, last.1));
    }
    Some(level)
}

/// Fewer than fit on a page: a cell and its pointer have at most 15 bytes.
const MOST_CHILDREN: usize = if cfg!(test) { 3 } else { 4096 };

fn append(page: Vec<u8>, file: &mut Vec<u8>) -> Option<u32> {
    file.extend_from_slice(&page);
    u32::try_from(file.len() / PAGE_BYTES).ok()
}

/// A page of a b-tree (section 1.6), filled from its end.
struct Page {
    kind: u8,
    /// Where its header begins.
    at: usize,
    bytes: Vec<u8>,
    pointers: Vec<usize>,
    /// Where the cells begin.
    start: usize,
    /// The greatest rowid.
    last: i64,
}

impl Page {
    fn new(kind: u8, at: usize) -> Page {
        Page {
            kind,
            at,
            bytes: vec![0; PAGE_BYTES],
            pointers: Vec::new(),
            start: PAGE_BYTES,
            last: 0,
        }
    }

    /// Adds a row, ascending by rowid; None if there is no room.
    fn add_row(&mut self, rowid: i64, payload: &[u8]) -> Option<()> {
        let mut head = Vec::with_capacity(12);
        write_varint(payload.len() as u64, &mut head);
        write_varint(rowid as u64, &mut head);
        self.add(&[&head, payload], rowid)
    }

    fn add_child(&mut self, child: u32, rowid: i64) -> Option<()> {
        let mut head = child.to_be_bytes().to_vec();
        write_varint(rowid as u64, &mut head);
        self.add(&[&head], rowid)
    }

    fn add(&mut self, parts: &[&[u8]], rowid: i64) -> Option<()> {
        let bytes: usize = parts.iter().map(|one| one.len()).sum();
        let header = if self.kind == LEAF {
            LEAF_HEADER
        } else {
            INTERIOR_HEADER
        };
        let array = self.at + header + POINTER_BYTES * (self.pointers.len() + 1);
        let mut at = self
            .start
            .checked_sub(bytes)
            .filter(|start| *start >= array)?;
        self.start = at;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.pointers.push(self.start);
        self.last = rowid;
        Some(())
    }

    /// Returns the bytes; `last` is the last child of an interior page.
    fn finish(&mut self, last: u32) -> Vec<u8> {
        let mut head = vec![self.kind, 0, 0];
        head.extend_from_slice(&(self.pointers.len() as u16).to_be_bytes());
        head.extend_from_slice(&(self.start as u16).to_be_bytes()); // 65,536 is written as 0
        head.push(0);
        if self.kind == INTERIOR {
            head.extend_from_slice(&last.to_be_bytes());
        }
        for pointer in &self.pointers {
            head.extend_from_slice(&(*pointer as u16).to_be_bytes());
        }
        self.bytes[self.at..self.at + head.len()].copy_from_slice(&head);
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(is_numbered: bool) -> Table {
        Table::new("t".into(), "CREATE TABLE t (a, b)".into(), is_numbered)
    }

    /// Returns the number at `at`, and where it ends.
    fn varint(file: &[u8], mut at: usize) -> (u64, usize) {
        let mut number = 0;
        for count in 1..=9 {
            let byte = file[at];
            at += 1;
            if count == 9 {
                return (number << 8 | u64::from(byte), at);
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
        (number, at)
    }

    fn number(file: &[u8], at: usize, bytes: usize) -> usize {
        let digits = file[at..at + bytes].iter();
        digits.fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    }

    /// Appends the rowids below a page, in the order of the tree; returns its depth.
    fn walk(file: &[u8], page: usize, out: &mut Vec<i64>) -> usize {
        let start = (page - 1) * PAGE_BYTES;
        let at = start + if page == 1 { HEADER_BYTES } else { 0 };
        let header = if file[at] == LEAF { 8 } else { 12 };
        let cells = (0..number(file, at + 3, 2))
            .map(|cell| start + number(file, at + header + 2 * cell, 2));
        if file[at] == LEAF {
            out.extend(cells.map(|cell| varint(file, varint(file, cell).1).0 as i64));
            return 1;
        }
        assert_eq!(file[at], INTERIOR);
        for cell in cells {
            walk(file, number(file, cell, 4), out);
            assert_eq!(out.last(), Some(&(varint(file, cell + 4).0 as i64)));
        }
        walk(file, number(file, at + 8, 4), out) + 1
    }

    #[test]
    fn every_row_is_found_in_a_deep_tree() {
        let text = "x".repeat(30_000); // two rows on a page
        for (count, depth) in [(0, 1), (2, 1), (3, 2), (20, 4), (61, 5)] {
            let mut numbered = table(true);
            for row in (0..count).rev() {
                let row = [Cell::Integer(row * 1_000_000_007), Cell::Text(&text)];
                numbered.add(&row).unwrap();
            }
            let file = write(&mut [numbered]).unwrap();
            assert_eq!(number(&file, 28, 4), file.len() / PAGE_BYTES);
            let (mut schema, mut rowids) = (vec![], vec![]);
            assert_eq!(walk(&file, 1, &mut schema), 1);
            assert_eq!(schema, [1]);
            let root = file.len() / PAGE_BYTES; // it is written last
            assert!(walk(&file, root, &mut rowids) <= depth);
            let expected: Vec<i64> = (0..count).map(|row| row * 1_000_000_007).collect();
            assert_eq!(rowids, expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (mut plain, most) = (table(false), "x".repeat(MOST_PAYLOAD - 5));
        assert!(plain.add(&[Cell::Null, Cell::Text(&most)]).is_some());
        assert!(plain
            .add(&[Cell::Null, Cell::Text(&format!("{most}y"))])
            .is_none());
        assert_eq!(plain.len(), 1);
        let mut numbered = table(true);
        assert!(numbered.add(&[Cell::Null, Cell::Null]).is_none());
        numbered.add(&[Cell::Integer(5), Cell::Null]).unwrap();
        numbered.add(&[Cell::Integer(5), Cell::Null]).unwrap();
        assert!(write(&mut [numbered]).is_none());
    }

    #[test]
    fn rows_are_removed_from_the_end() {
        let mut plain = table(false);
        for text in ["a", "b", "c"] {
            plain.add(&[Cell::Text(text)]).unwrap();
        }
        plain.truncate(1);
        plain.add(&[Cell::Text("d")]).unwrap();
        assert_eq!(plain.data, [2, 15, b'a', 2, 15, b'd']);
        plain.truncate(0);
        assert!(plain.data.is_empty());
    }

    #[test]
    fn numbers_have_the_bytes_of_the_format() {
        let record = |number| {
            let mut out = Vec::new();
            write_record([Cell::Integer(number)].iter(), &mut out);
            out
        };
        assert_eq!(record(0), [2, 8]);
        assert_eq!(record(1), [2, 9]);
        assert_eq!(record(-1), [2, 1, 0xff]);
        assert_eq!(record(127), [2, 1, 0x7f]);
        assert_eq!(record(128), [2, 2, 0, 0x80]);
        assert_eq!(record(-32768), [2, 2, 0x80, 0]);
        assert_eq!(record(1 << 23), [2, 4, 0, 0x80, 0, 0]);
        assert_eq!(record(1 << 47), [2, 6, 0, 0, 0x80, 0, 0, 0, 0, 0]);
        for number in [
            0,
            127,
            128,
            16_383,
            16_384,
            (1 << 56) - 1,
            1 << 56,
            u64::MAX,
        ] {
            let mut out = Vec::new();
            write_varint(number, &mut out);
            assert_eq!(out.len(), varint_bytes(number));
            assert_eq!(varint(&out, 0), (number, out.len()));
        }
    }
}
