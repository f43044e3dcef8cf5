//! Integers modulo l, the order of the base point, in 64-bit words with the lowest first.
//!
//! A batch needs little of it: sums of products as plain integers, and one reduction for each distinct key.

/// l = 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// l - 2^252, below 2^125.
const ORDER_TAIL: u128 = (ORDER[1] as u128) << 64 | ORDER[0] as u128;

/// A sum of products of 128 by up to 512 bits. With its 704 bits it has room for 2^64 of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum([u64; 11]);

/// An integer of at most 256 bits; below l where a function says so.
pub type Scalar = [u64; 4];

/// The integer of 32 bytes, least significant first, if it is below l.
pub fn decode(bytes: &[u8; 32]) -> Option<Scalar> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut scalar = [0; 4];
    for (word, bytes) in scalar.iter_mut().zip(words) {
        *word = u64::from_le_bytes(*bytes);
    }
    scalar.iter().rev().lt(ORDER.iter().rev()).then_some(scalar)
}

/// l minus a scalar below l, and 0 for 0.
pub fn negate(scalar: Scalar) -> Scalar {
    if scalar == [0; 4] { scalar } else { sub(ORDER, scalar).0 }
}

/// The low and the high 128 bits.
pub fn halves(scalar: Scalar) -> [u128; 2] {
    let [w0, w1, w2, w3] = scalar.map(u128::from);
    [w1 << 64 | w0, w3 << 64 | w2]
}

impl Sum {
    /// Adds `factor` times `words`, which are at most eight.
    #[inline]
    pub fn add_product<const N: usize>(&mut self, factor: u128, words: &[u64; N]) {
        const { assert!(N <= 8) };
        for (start, factor_word) in [factor as u64, (factor >> 64) as u64].into_iter().enumerate() {
            let mut carry = 0;
            for (total, &word) in self.0[start..].iter_mut().zip(words) {
                // The largest value is (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1.
                let sum = u128::from(word) * u128::from(factor_word) + u128::from(*total) + u128::from(carry);
                (*total, carry) = (sum as u64, (sum >> 64) as u64);
            }
            for total in &mut self.0[start + N..] {
                let overflows;
                (*total, overflows) = total.overflowing_add(carry);
                carry = u64::from(overflows);
            }
        }
    }

    /// The remainder modulo l, below l.
    ///
    /// Long division, one word a step. Before a step the remainder is below l, so with the next word it is a value v below
    /// 2^64 l, and q = floor(v / 2^252) is at most 2^64. Since 2^252 = l - c with c < 2^125,
    /// v - q l = (v mod 2^252) - q c, which is below l and above -2^190: adding l once mends it.
    pub fn reduce(&self) -> Scalar {
        let mut remainder = [0; 4];
        for &word in self.0.iter().rev() {
            let [r0, r1, r2, r3] = remainder;
            let quotient = u128::from(r3) << 4 | u128::from(r2 >> 60);
            let low_bits = [word, r0, r1, r2 & (u64::MAX >> 4)];
            let low_product = quotient * (ORDER_TAIL & u128::from(u64::MAX));
            let high_product = quotient * (ORDER_TAIL >> 64) + (low_product >> 64);
            let product = [low_product as u64, high_product as u64, (high_product >> 64) as u64, 0];
            let (difference, is_negative) = sub(low_bits, product);
            remainder = if is_negative { add(difference, ORDER) } else { difference };
        }
        remainder
    }
}

/// a + b modulo 2^256.
fn add(a: Scalar, b: Scalar) -> Scalar {
    let mut sum = [0; 4];
    let mut carry = false;
    for i in 0..4 {
        let (partial, first) = a[i].overflowing_add(b[i]);
        let (word, second) = partial.overflowing_add(u64::from(carry));
        sum[i] = word;
        carry = first | second;
    }
    sum
}

/// a - b modulo 2^256, and whether it is negative.
fn sub(a: Scalar, b: Scalar) -> (Scalar, bool) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for i in 0..4 {
        let (partial, first) = a[i].overflowing_sub(b[i]);
        let (word, second) = partial.overflowing_sub(u64::from(borrow));
        difference[i] = word;
        borrow = first | second;
    }
    (difference, borrow)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::scalar::Scalar as Reference;

    use super::*;
    use crate::ifma::tests::random_bytes;

    fn bytes_of(scalar: Scalar) -> [u8; 32] {
        std::array::from_fn(|i| scalar[i / 8].to_le_bytes()[i % 8])
    }

    fn random_words(seed: u64) -> [u64; 8] {
        let bytes = random_bytes(seed);
        let (words, _) = bytes.as_chunks::<8>();
        std::array::from_fn(|i| u64::from_le_bytes(words[i]))
    }

    /// The remainder of any number of words, by the reference's arithmetic and Horner's rule.
    fn remainder(words: &[u64]) -> [u8; 32] {
        let base = Reference::from(1u128 << 64);
        words.iter().rev().fold(Reference::ZERO, |value, &word| value * base + Reference::from(word)).to_bytes()
    }

    #[test]
    fn a_scalar_decodes_exactly_if_it_is_below_l() {
        let [o0, o1, o2, o3] = ORDER;
        for below in [
            [0; 4],
            [1, 0, 0, 0],
            [o0 - 1, o1, o2, o3],
            [u64::MAX, o1 - 1, o2, o3],
            [u64::MAX, u64::MAX, u64::MAX, o3 - 1],
        ] {
            assert_eq!(decode(&bytes_of(below)), Some(below));
        }
        for beyond in
            [ORDER, [o0 + 1, o1, o2, o3], [0, o1 + 1, o2, o3], [0, 0, 1, o3], [0, 0, 0, o3 + 1], [u64::MAX; 4]]
        {
            assert_eq!(decode(&bytes_of(beyond)), None);
        }
    }

    #[test]
    fn sums_of_products_reduce_to_what_the_reference_gives() {
        let mut total = Sum::default();
        let mut expected = Reference::ZERO;
        for seed in 0..200 {
            let (words, response) = (random_words(seed), random_words(1_000 + seed));
            let factor = u128::from(words[0]) << 64 | u128::from(response[7]);
            total.add_product(factor, &words);
            total.add_product(factor, response.first_chunk::<4>().unwrap());
            let words = Reference::from_bytes_mod_order(remainder(&words));
            let response = Reference::from_bytes_mod_order(remainder(&response[..4]));
            expected += Reference::from(factor) * (words + response);
            assert_eq!(bytes_of(total.reduce()), expected.to_bytes());
        }
    }

    #[test]
    fn the_largest_products_carry_through_every_word() {
        let mut total = Sum([u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, 0, 0, 0]);
        let before = total;
        total.add_product(u128::MAX, &[u64::MAX; 8]);
        // (2^128 - 1)(2^512 - 1) + 2^512 - 1 = 2^128 (2^512 - 1).
        assert_eq!(total.0, [0, 0, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, 0]);
        let mut carried = before;
        carried.add_product(1, &[1]);
        assert_eq!(carried.0, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn reduction_is_right_at_its_limits() {
        let [o0, o1, o2, o3] = ORDER;
        for words in [
            [u64::MAX; 11],
            // A remainder of exactly l, l - 1 or 2^252 before the last word: there the quotient reaches 2^64.
            [u64::MAX, o0, o1, o2, o3, 0, 0, 0, 0, 0, 0],
            [u64::MAX, o0 - 1, o1, o2, o3, 0, 0, 0, 0, 0, 0],
            [0, o0 - 1, o1, o2, o3, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, o3, 0, 0, 0, 0, 0, 0],
            [u64::MAX, 0, 0, 0, o3, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u64::MAX],
            [0; 11],
        ] {
            assert_eq!(bytes_of(Sum(words).reduce()), remainder(&words), "{words:x?}");
        }
        for seed in 0..2_000 {
            let (low, high) = (random_words(seed), random_words(10_000 + seed));
            let words = std::array::from_fn(|i| if i < 8 { low[i] } else { high[i - 8] });
            assert_eq!(bytes_of(Sum(words).reduce()), remainder(&words));
        }
    }

    #[test]
    fn a_scalar_and_its_negative_are_zero_together_and_halves_make_a_whole() {
        for seed in 0..100 {
            let scalar = Sum({
                let words = random_words(seed);
                std::array::from_fn(|i| if i < 8 { words[i] } else { 0 })
            })
            .reduce();
            let [low, high] = halves(scalar).map(Reference::from);
            let reference = Reference::from_canonical_bytes(bytes_of(scalar)).unwrap();
            assert_eq!(low + high * Reference::from(1u128 << 64) * Reference::from(1u128 << 64), reference);
            assert_eq!(bytes_of(negate(scalar)), (-reference).to_bytes());
        }
        assert_eq!(negate([0; 4]), [0; 4]);
    }
}
