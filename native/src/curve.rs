//! Points of edwards25519, and tables that multiply one point quickly (RFC 8032 section 5.1).

use crate::field::{invert_all, Field};

const D: [u8; 32] = [
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
];
/// 2d modulo p.
const D2: [u8; 32] = [
    0x59, 0xf1, 0xb2, 0x26, 0x94, 0x9b, 0xd6, 0xeb, 0x56, 0xb1, 0x83, 0x82, 0x9a, 0x14, 0xe0, 0x00,
    0x30, 0xd1, 0xf3, 0xee, 0xf2, 0x80, 0x8e, 0x19, 0xe7, 0xfc, 0xdf, 0x56, 0xdc, 0xd9, 0x06, 0x24,
];
/// The encoding of the base point B: y = 4/5, x even.
pub const BASE_POINT: [u8; 32] = [
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
];

/// A point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

/// An affine point as an addition takes it: y + x, y - x, 2dxy.
#[derive(Clone, Copy)]
struct Prepared {
    sum: Field,
    difference: Field,
    product: Field,
}

impl Point {
    /// The neutral element.
    pub fn identity() -> Point {
        let (zero, one) = (Field::small(0), Field::small(1));
        Point {
            x: zero,
            y: one,
            z: one,
            t: zero,
        }
    }

    /// Returns the point of an encoding, or None if no x fits its y (RFC 8032 section 5.1.3).
    ///
    /// The encoding must be canonical.
    pub fn decompress(bytes: &[u8; 32]) -> Option<Point> {
        let (one, y) = (Field::small(1), Field::from_bytes(bytes));
        let numerator = y.square().sub(&one);
        let denominator = y.square().mul(&Field::from_bytes(&D)).add(&one);
        let square = numerator.mul(&denominator.invert());
        let mut x = square_root(&square)?;
        if x.is_odd() != (bytes[31] >> 7 == 1) {
            x = Field::small(0).sub(&x);
        }
        Some(Point {
            x,
            y,
            z: one,
            t: x.mul(&y),
        })
    }

    /// Returns the sum of this point and a prepared one, or their difference.
    ///
    /// The formula is complete: it holds for all points of the curve (Hisil, Wong, Carter, Dawson:
    /// Twisted Edwards Curves Revisited, section 3.1, with a = -1).
    #[inline(always)]
    fn add_prepared(&self, other: &Prepared, negative: bool) -> Point {
        let (with_sum, with_difference) = if negative {
            (&other.difference, &other.sum)
        } else {
            (&other.sum, &other.difference)
        };
        let a = self.y.minus(&self.x).mul(&with_difference.loose());
        let b = self.y.plus(&self.x).mul(&with_sum.loose());
        let c = self.t.mul(&other.product);
        let d = self.z.add(&self.z);
        let (e, h) = (b.minus(&a), b.plus(&a));
        let (f, g) = if negative {
            (d.plus(&c), d.minus(&c))
        } else {
            (d.minus(&c), d.plus(&c))
        };
        Point {
            x: e.mul(&f),
            y: g.mul(&h),
            z: f.mul(&g),
            t: e.mul(&h),
        }
    }

    /// Returns the sum of two points, by the same formula.
    fn add(&self, other: &Point) -> Point {
        let a = self.y.minus(&self.x).mul(&other.y.minus(&other.x));
        let b = self.y.plus(&self.x).mul(&other.y.plus(&other.x));
        let c = self.t.mul(&Field::from_bytes(&D2)).mul(&other.t);
        let d = self.z.mul(&other.z).add(&self.z.mul(&other.z));
        let (e, h, f, g) = (b.minus(&a), b.plus(&a), d.minus(&c), d.plus(&c));
        Point {
            x: e.mul(&f),
            y: g.mul(&h),
            z: f.mul(&g),
            t: e.mul(&h),
        }
    }
}

/// Returns x and y of points, with one inversion.
fn affine(points: &[Point]) -> impl Iterator<Item = (Field, Field)> + '_ {
    let mut inverses: Vec<Field> = points.iter().map(|point| point.z).collect();
    invert_all(&mut inverses);
    let pairs = points.iter().zip(inverses);
    pairs.map(|(point, inverse)| (point.x.mul(&inverse), point.y.mul(&inverse)))
}

/// Returns the canonical encodings of points (RFC 8032 section 5.1.2), with one inversion.
pub fn compress_all(points: &[Point]) -> Vec<[u8; 32]> {
    let encode = |(x, y): (Field, Field)| {
        let mut bytes = y.to_bytes();
        bytes[31] |= u8::from(x.is_odd()) << 7;
        bytes
    };
    affine(points).map(encode).collect()
}

/// Returns a square root, or None (p = 5 mod 8: RFC 8032 section 5.1.3).
fn square_root(square: &Field) -> Option<Field> {
    let mut exponent = [0xff; 32]; // (p + 3) / 8 = 2^252 - 2
    exponent[0] = 0xfe;
    exponent[31] = 0x0f;
    let root = square.power(&exponent);
    if root.square().equals(*square) {
        return Some(root);
    }
    let mut quarter = [0xff; 32]; // (p - 1) / 4 = 2^253 - 5
    quarter[0] = 0xfb;
    quarter[31] = 0x1f;
    let root = root.mul(&Field::small(2).power(&quarter)); // times a root of -1
    root.square().equals(*square).then_some(root)
}

const WINDOWS: usize = 32;
const ENTRIES: usize = 128;

/// Multiples of one point: j * 256^i * P for i below 32 and j from 1 to 128.
pub struct Table(Vec<Prepared>);

impl Table {
    /// Computes the multiples of a point.
    pub fn new(point: &Point) -> Table {
        let mut points = Vec::with_capacity(WINDOWS * ENTRIES);
        let mut base = *point;
        for _ in 0..WINDOWS {
            let mut multiple = base;
            for _ in 0..ENTRIES {
                points.push(multiple);
                multiple = multiple.add(&base);
            }
            let last = points[points.len() - 1];
            base = last.add(&last);
        }
        Table(prepare(&points))
    }

    /// Adds a multiple of the point to `sum`: `scalar` times it, least significant byte first.
    ///
    /// The scalar must be less than 2^255: then its signed digits need no more than 32 windows.
    pub fn add_multiple(&self, scalar: &[u8; 32], sum: &mut Point) {
        let mut carry = 0;
        for (window, byte) in scalar.iter().enumerate() {
            let mut digit = i16::from(*byte) + carry;
            carry = i16::from(digit > ENTRIES as i16);
            digit -= carry << 8;
            if digit != 0 {
                let entry = &self.0[window * ENTRIES + usize::from(digit.unsigned_abs()) - 1];
                *sum = sum.add_prepared(entry, digit < 0);
            }
        }
        assert!(carry == 0, "the scalar is below 2^255");
    }
}

fn prepare(points: &[Point]) -> Vec<Prepared> {
    let d2 = Field::from_bytes(&D2);
    let prepared = affine(points).map(|(x, y)| Prepared {
        sum: y.add(&x),
        difference: y.sub(&x),
        product: x.mul(&y).mul(&d2),
    });
    prepared.collect()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::EdwardsPoint;
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest, Sha512};

    use super::*;

    fn scalars() -> Vec<[u8; 32]> {
        let mut found = vec![[0; 32], Scalar::ONE.to_bytes(), (-Scalar::ONE).to_bytes()];
        for window in 0..31 {
            for byte in [1, 127, 128, 129, 255] {
                let mut scalar = [0; 32];
                scalar[window] = byte;
                found.push(scalar);
                scalar[..window].fill(255);
                found.push(scalar);
            }
        }
        let random =
            |number: u8| Scalar::from_bytes_mod_order_wide(&Sha512::digest([number]).into());
        found.extend((0..100).map(|number| random(number).to_bytes()));
        found
    }

    #[test]
    fn tables_multiply_as_the_library_does() {
        let base = EdwardsPoint::mul_base(&Scalar::from(7_u8));
        let points = [base, base + EIGHT_TORSION[1], EIGHT_TORSION[3]];
        for point in points {
            let table = Table::new(&Point::decompress(&point.compress().0).unwrap());
            for scalar in scalars() {
                let mut sum = Point::identity();
                table.add_multiple(&scalar, &mut sum);
                let expected = point * Scalar::from_bytes_mod_order(scalar);
                if point.is_torsion_free()
                    || scalar == Scalar::from_bytes_mod_order(scalar).to_bytes()
                {
                    assert_eq!(compress_all(&[sum]), [expected.compress().0]);
                }
            }
        }
    }

    #[test]
    fn points_are_encoded_together_as_alone() {
        let point = Point::decompress(&BASE_POINT).unwrap();
        let points = [point, Point::identity(), point.add(&point), point];
        let alone: Vec<_> = points
            .iter()
            .flat_map(|one| compress_all(&[*one]))
            .collect();
        assert_eq!(compress_all(&points), alone);
        assert_eq!(alone[0], BASE_POINT);
        assert!(compress_all(&[]).is_empty());
    }

    #[test]
    fn what_is_not_on_the_curve_is_no_point() {
        for y in 0..=255_u8 {
            let mut bytes = [0; 32];
            bytes[0] = y;
            let theirs = curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress();
            let ours = Point::decompress(&bytes).map(|point| compress_all(&[point])[0]);
            assert_eq!(ours, theirs.map(|point| point.compress().0));
        }
    }
}
