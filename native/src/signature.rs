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
const UNTIL_TABLE: usize = if cfg!(test) { 2 } else { 64 };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::value::unhex;

    /// Whether a signature is valid, by a key that has no table and by one that has.
    fn is_valid(key: &str, message: &str, signature: &str) -> bool {
        let [key, message, signature] = [key, message, signature].map(|text| unhex(text).unwrap());
        let Some(key) = PublicKey::new(&key) else {
            return false;
        };
        let tables = Tables::new();
        let mut answers: Vec<bool> = (0..UNTIL_TABLE + 2)
            .map(|_| {
                are_valid(&Vec::from_iter(key.recover(&message, &signature, &tables))) == [true]
            })
            .collect();
        answers.dedup();
        assert_eq!(answers.len(), 1, "with a table as without");
        answers[0]
    }

    const SIGNER: &str = "363a9110afcac78f2b88152ca50b6496dd86244838fd8614c777d5c33c36fbec";
    const MESSAGE: &str = "7468697274792d74776f2062797465732061726520757375616c20686572652e";
    const GOOD: &str = "ebaae7cb2f89ab3930f94e8aa950e3ab32dd8a8aa5e62660a36651e0802b48f7\
                        75cde7d92969568b40cd8c27745d12bd774f7ed891386d7584fb0b300401780a";
    /// It holds only if both sides are multiplied by 8.
    const COFACTORED: &str = "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819\
                              ea4d8e9a4e969487f076b5710d00cfedc4330710fd1810aced0e1ab5749e150f";

    #[test]
    fn the_vectors_of_rfc_8032() {
        let vectors = [
            (
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
                 c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e\
                 458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ];
        for (key, message, signature) in vectors {
            assert!(is_valid(key, message, signature));
            assert!(!is_valid(key, "73", signature));
        }
    }

    #[test]
    fn what_s1_refuses_is_invalid() {
        assert!(is_valid(SIGNER, MESSAGE, GOOD));
        let (r, s) = GOOD.split_at(64);
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let (zero, ones) = ("00".repeat(32), "ff".repeat(32));
        let cases = [
            COFACTORED.to_owned(),
            format!("{r}{order}"),
            format!("{r}{ones}"),
            format!("{r}{zero}"),
            format!("{ones}{s}"),
            format!("{zero}{s}"),
            format!("{GOOD}00"),
            GOOD[..126].to_owned(),
            String::new(),
        ];
        for signature in cases {
            assert!(!is_valid(SIGNER, MESSAGE, &signature), "{signature}");
        }
    }

    #[test]
    fn no_key_of_small_order_is_read() {
        use curve25519_dalek::constants::EIGHT_TORSION;
        for point in EIGHT_TORSION {
            let mut encoded = point.compress().0;
            assert!(PublicKey::new(&encoded).is_none());
            encoded[31] ^= 0x80;
            assert!(PublicKey::new(&encoded).is_none());
        }
        let mut large = PRIME;
        for low in 0xed..=0xff {
            large[0] = low;
            assert!(PublicKey::new(&large).is_none());
        }
    }

    /// Signatures of others, which lie beside the repository and not in it.
    #[test]
    fn the_corpora_are_judged_as_they_say() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora/");
        let file = format!("{folder}wycheproof/ed25519_test.json");
        let Ok(data) = std::fs::read(&file) else {
            return eprintln!("{file} is absent");
        };
        let value = json::read(&data).unwrap();
        let groups = value
            .object()
            .and_then(|one| one.list("testGroups"))
            .unwrap();
        for group in groups.iter().map(|one| one.object().unwrap()) {
            let key = group
                .object("publicKey")
                .and_then(|one| one.text("pk"))
                .unwrap();
            for case in group
                .list("tests")
                .unwrap()
                .iter()
                .map(|one| one.object().unwrap())
            {
                let valid = case.text("result") == Some("valid");
                let (message, signature) = (case.text("msg").unwrap(), case.text("sig").unwrap());
                assert_eq!(is_valid(key, message, signature), valid, "{signature}");
            }
        }
        let data = std::fs::read(format!("{folder}speccheck/cases.json")).unwrap();
        let value = json::read(&data).unwrap();
        let cases = value
            .list()
            .unwrap()
            .iter()
            .map(|one| one.object().unwrap());
        let accepted: Vec<bool> = cases
            .map(|case| ["pub_key", "message", "signature"].map(|name| case.text(name).unwrap()))
            .map(|[key, message, signature]| is_valid(key, message, signature))
            .collect();
        assert_eq!(accepted, EXPECTED);
    }

    /// Only what is canonical, not of small order, and holds without the cofactor.
    const EXPECTED: [bool; 12] = {
        let mut expected = [false; 12];
        expected[3] = true;
        expected
    };
}
