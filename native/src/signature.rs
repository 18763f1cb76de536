//! Which Ed25519 signatures are accepted (rule S1), each by itself.
//!
//! A signature is first judged by its bytes, then `SB - hA` is computed and its encoding compared
//! with R. A trusted key that signs often gets a table, which makes `hA` as cheap as `SB`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

use crate::curve::{compress_all, Point, Table, BASE_POINT};

/// Signatures of one key until it gets a table: to make one takes as long as so many of them.
const UNTIL_TABLE: usize = 64;
/// Tables of all keys together; each takes half a MiB.
const MAX_TABLES: usize = 48;

/// The field's prime p, and the encodings of y of the points whose order divides 8 (S1).
const PRIME: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};
const ORDER_8_Y: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// Whether an encoded point is canonical and not of small order, by its bytes (S1).
fn is_sound(encoded: &[u8]) -> bool {
    let mut y = [0; 32];
    y.copy_from_slice(encoded);
    y[31] &= 0x7f;
    let (zero, mut one) = ([0; 32], [0; 32]);
    one[0] = 1;
    let small = [
        zero,
        one,
        difference(&PRIME, &one),
        ORDER_8_Y,
        difference(&PRIME, &ORDER_8_Y),
    ];
    y.iter().rev().lt(PRIME.iter().rev()) && !small.contains(&y)
}

/// Returns the difference of two little-endian numbers.
fn difference(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let (mut out, mut borrow) = ([0; 32], 0);
    for index in 0..32 {
        let digit = i16::from(one[index]) - i16::from(other[index]) - borrow;
        borrow = i16::from(digit < 0);
        out[index] = (digit + (borrow << 8)) as u8;
    }
    out
}

/// A trusted public key.
pub struct PublicKey {
    encoded: [u8; 32],
    negated: EdwardsPoint,
    used: AtomicUsize,
    table: OnceLock<Option<Table>>,
}

/// The point `SB - hA` of a signature, to be compared with its R.
pub struct Recovered {
    found: Found,
    r: [u8; 32],
}

enum Found {
    /// Not encoded yet: many are encoded together.
    Point(Point),
    Encoded([u8; 32]),
}

impl PublicKey {
    /// Returns the key, or None if S1 refuses it.
    pub fn new(encoded: &[u8]) -> Option<PublicKey> {
        let encoded: [u8; 32] = encoded.try_into().ok()?;
        if !is_sound(&encoded) {
            return None;
        }
        let negated = -CompressedEdwardsY(encoded).decompress()?;
        Some(PublicKey {
            encoded,
            negated,
            used: AtomicUsize::new(0),
            table: OnceLock::new(),
        })
    }

    /// Returns the point to compare with R; None if S1 refuses the signature by its bytes.
    pub fn recover(&self, message: &[u8], signature: &[u8], tables: &Tables) -> Option<Recovered> {
        let (r, s) = signature.split_at_checked(32)?;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        if !is_sound(r) {
            return None;
        }
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(self.encoded)
            .chain_update(message);
        let h = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let r = r.try_into().ok()?;
        let Some(table) = self.table(tables) else {
            let point = EdwardsPoint::vartime_double_scalar_mul_basepoint(&h, &self.negated, &s);
            return Some(Recovered {
                found: Found::Encoded(point.compress().0),
                r,
            });
        };
        let mut point = Point::identity();
        tables.base.add_multiple(s.as_bytes(), &mut point);
        table.add_multiple(h.as_bytes(), &mut point);
        Some(Recovered {
            found: Found::Point(point),
            r,
        })
    }

    /// Returns the table of the negated key, if it has signed often.
    fn table(&self, tables: &Tables) -> Option<&Table> {
        if self.used.fetch_add(1, Ordering::Relaxed) < UNTIL_TABLE {
            return None;
        }
        self.table
            .get_or_init(|| tables.make(&self.negated))
            .as_ref()
    }
}

/// The table of the base point, and how many tables of keys were made.
pub struct Tables {
    base: Table,
    made: AtomicUsize,
}

impl Tables {
    pub fn new() -> Tables {
        let point = Point::decompress(&BASE_POINT).expect("the base point is on the curve");
        Tables {
            base: Table::new(&point),
            made: AtomicUsize::new(0),
        }
    }

    /// Makes the table of a point; None if there are enough, or if it proves wrong.
    fn make(&self, point: &EdwardsPoint) -> Option<Table> {
        if self.made.fetch_add(1, Ordering::Relaxed) >= MAX_TABLES {
            return None;
        }
        let table = Table::new(&Point::decompress(&point.compress().0)?);
        agrees(&table, point).then_some(table)
    }
}

/// Whether a table multiplies as curve25519-dalek does, for scalars that use its entries.
fn agrees(table: &Table, point: &EdwardsPoint) -> bool {
    (0..4_u8).all(|number| {
        let wide: [u8; 64] = Sha512::digest([number]).into();
        let scalar = Scalar::from_bytes_mod_order_wide(&wide);
        let mut sum = Point::identity();
        table.add_multiple(scalar.as_bytes(), &mut sum);
        compress_all(&[sum]) == [(point * scalar).compress().0]
    })
}

/// Returns for each signature whether its R is the encoding of its point (S1).
pub fn are_valid(recovered: &[Recovered]) -> Vec<bool> {
    let points: Vec<Point> = recovered.iter().filter_map(Recovered::point).collect();
    let mut encoded = compress_all(&points).into_iter();
    let is_valid = |one: &Recovered| match one.found {
        Found::Point(_) => encoded.next() == Some(one.r),
        Found::Encoded(found) => found == one.r,
    };
    recovered.iter().map(is_valid).collect()
}

impl Recovered {
    fn point(&self) -> Option<Point> {
        match self.found {
            Found::Point(point) => Some(point),
            Found::Encoded(_) => None,
        }
    }
}
