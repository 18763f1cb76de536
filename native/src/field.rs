//! Arithmetic modulo 2^255 - 19, by the formally verified functions of fiat-crypto.
//!
//! A `Field` is an element with tight bounds: the output of every operation here.

use fiat_crypto::curve25519_64 as fiat;

/// An element of the field of Curve25519.
#[derive(Clone, Copy)]
pub struct Field(fiat::fiat_25519_tight_field_element);

/// A sum or difference that was not carried; an operand of `Loose::mul` only.
#[derive(Clone, Copy)]
pub struct Loose(fiat::fiat_25519_loose_field_element);

const ZERO: [u64; 5] = [0; 5];

impl Loose {
    /// Returns the product.
    #[inline(always)]
    pub fn mul(&self, other: &Loose) -> Field {
        let mut out = fiat::fiat_25519_tight_field_element(ZERO);
        fiat::fiat_25519_carry_mul(&mut out, &self.0, &other.0);
        Field(out)
    }
}

impl Field {
    /// Returns a small number as an element.
    pub const fn small(number: u64) -> Field {
        Field(fiat::fiat_25519_tight_field_element([number, 0, 0, 0, 0]))
    }

    /// Returns the element of 32 bytes, least significant first; the highest bit is ignored.
    pub fn from_bytes(bytes: &[u8; 32]) -> Field {
        let mut low = *bytes;
        low[31] &= 0x7f;
        let mut out = fiat::fiat_25519_tight_field_element(ZERO);
        fiat::fiat_25519_from_bytes(&mut out, &low);
        Field(out)
    }

    /// Returns the one canonical encoding of the element: it is less than 2^255 - 19.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        fiat::fiat_25519_to_bytes(&mut out, &self.0);
        out
    }

    /// Returns the same element as an operand of a product.
    #[inline(always)]
    pub fn loose(&self) -> Loose {
        let mut out = fiat::fiat_25519_loose_field_element(ZERO);
        fiat::fiat_25519_relax(&mut out, &self.0);
        Loose(out)
    }

    /// Returns the sum, not carried.
    #[inline(always)]
    pub fn plus(&self, other: &Field) -> Loose {
        let mut out = fiat::fiat_25519_loose_field_element(ZERO);
        fiat::fiat_25519_add(&mut out, &self.0, &other.0);
        Loose(out)
    }

    /// Returns the difference, not carried.
    #[inline(always)]
    pub fn minus(&self, other: &Field) -> Loose {
        let mut out = fiat::fiat_25519_loose_field_element(ZERO);
        fiat::fiat_25519_sub(&mut out, &self.0, &other.0);
        Loose(out)
    }

    /// Returns the sum.
    #[inline(always)]
    pub fn add(&self, other: &Field) -> Field {
        self.plus(other).carry()
    }

    /// Returns the difference.
    #[inline(always)]
    pub fn sub(&self, other: &Field) -> Field {
        self.minus(other).carry()
    }

    /// Returns the product.
    #[inline(always)]
    pub fn mul(&self, other: &Field) -> Field {
        self.loose().mul(&other.loose())
    }

    /// Returns the square.
    #[inline(always)]
    pub fn square(&self) -> Field {
        let mut out = fiat::fiat_25519_tight_field_element(ZERO);
        fiat::fiat_25519_carry_square(&mut out, &self.loose().0);
        Field(out)
    }

    /// Returns the element's power; bits of the exponent from the lowest, 32 bytes.
    pub fn power(&self, exponent: &[u8; 32]) -> Field {
        let mut result = Field::small(1);
        for bit in (0..256).rev() {
            result = result.square();
            if exponent[bit / 8] >> (bit % 8) & 1 == 1 {
                result = result.mul(self);
            }
        }
        result
    }

    /// Returns the inverse; 0 for 0 (Fermat: the power of p - 2).
    pub fn invert(&self) -> Field {
        let mut exponent = [0xff; 32];
        exponent[0] = 0xeb;
        exponent[31] = 0x7f;
        self.power(&exponent)
    }

    /// Whether the canonical encoding is odd: the sign of RFC 8032 section 5.1.2.
    pub fn is_odd(self) -> bool {
        self.to_bytes()[0] & 1 == 1
    }

    /// Whether two elements are equal.
    pub fn equals(self, other: Field) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Loose {
    #[inline(always)]
    fn carry(&self) -> Field {
        let mut out = fiat::fiat_25519_tight_field_element(ZERO);
        fiat::fiat_25519_carry(&mut out, &self.0);
        Field(out)
    }
}

/// Replaces every element, none of them 0, by its inverse, with one inversion (Montgomery).
pub fn invert_all(elements: &mut [Field]) {
    let mut products = Vec::with_capacity(elements.len());
    let mut product = Field::small(1);
    for element in elements.iter() {
        products.push(product);
        product = product.mul(element);
    }
    let mut inverse = product.invert();
    for (element, before) in elements.iter_mut().zip(products).rev() {
        let next = inverse.mul(element);
        *element = inverse.mul(&before);
        inverse = next;
    }
}
