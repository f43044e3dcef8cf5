//! Arithmetic modulo p = 2^255 - 19 on eight elements at once, one in each lane.
//!
//! An element is five limbs, the sum of limb[i] 2^(51 i). The instructions behind it multiply the low 52 bits of two
//! lanes, and add the low or the high 52 bits of the product to a third: `madd52lo`, `madd52hi`. A limb must therefore
//! be below 2^52 when it is multiplied, and what the high half contributes weighs 2^52, twice the next limb.
//!
//! **The bound.** Every `Fe8` has limbs below 2^51 + 2^18: every function that makes one ends in [`Fe8::carry`], which
//! gives that, or says why it holds. One sum of two elements can pass 2^52, so it is carried before anything else.
//!
//! Source: Intel intrinsics guide, AVX512_IFMA; RFC 8032, section 5.1 for p and the square root.

use core::arch::x86_64::*;

use crate::lanes::{LANES, LaneMask, Lanes, load, splat};

/// Limbs of an element.
pub const LIMBS: usize = 5;

const LIMB_BITS: u32 = 51;
const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// 2p, limb by limb. Each is at least 2^52 - 38, so that subtracting any limb of an `Fe8` from it leaves it positive.
const TWICE_P: [u64; LIMBS] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];

/// Eight field elements, limb i of all of them in register i.
#[derive(Clone, Copy)]
pub struct Fe8(pub(super) [Lanes; LIMBS]);

impl Fe8 {
    /// The same element in every lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn splat(limbs: [u64; LIMBS]) -> Self {
        let mut lanes = [splat(0); LIMBS];
        for i in 0..LIMBS {
            lanes[i] = splat(limbs[i]);
        }
        Self(lanes)
    }

    /// 0 in every lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn zero() -> Self {
        Self([splat(0); LIMBS])
    }

    /// 1 in every lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn one() -> Self {
        Self::splat([1, 0, 0, 0, 0])
    }

    /// The low 255 bits of eight 256-bit integers; word j of all of them is in `words[j]`. They may be p or more.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn from_words(words: &[[u64; LANES]; 4]) -> Self {
        let mask = splat(LIMB_MASK);
        let (w0, w1, w2, w3) = (load(&words[0]), load(&words[1]), load(&words[2]), load(&words[3]));
        // Limb i starts at bit 51 i: in words 0, 0, 1, 2, 3 at the bits 0, 51, 38, 25, 12. Masked, it is below 2^51.
        let limb_1 = _mm512_or_si512(_mm512_srli_epi64::<51>(w0), _mm512_slli_epi64::<13>(w1));
        let limb_2 = _mm512_or_si512(_mm512_srli_epi64::<38>(w1), _mm512_slli_epi64::<26>(w2));
        let limb_3 = _mm512_or_si512(_mm512_srli_epi64::<25>(w2), _mm512_slli_epi64::<39>(w3));
        let limb_4 = _mm512_srli_epi64::<12>(w3);
        Self([
            _mm512_and_si512(w0, mask),
            _mm512_and_si512(limb_1, mask),
            _mm512_and_si512(limb_2, mask),
            _mm512_and_si512(limb_3, mask),
            _mm512_and_si512(limb_4, mask),
        ])
    }

    /// Moves what each limb has above 51 bits to the next limb, and from the last one to the first, where it counts 19.
    ///
    /// Every limb of `limbs` may be anything below 2^63. The carries are then below 2^12, and 19 of them below 2^17: the
    /// result keeps the bound with room to spare. All carries move at once, so none of them travels further.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn carry(limbs: [Lanes; LIMBS]) -> Self {
        let mask = splat(LIMB_MASK);
        let [l0, l1, l2, l3, l4] = limbs;
        let last = _mm512_srli_epi64::<LIMB_BITS>(l4);
        Self([
            _mm512_madd52lo_epu64(_mm512_and_si512(l0, mask), last, splat(19)),
            _mm512_add_epi64(_mm512_and_si512(l1, mask), _mm512_srli_epi64::<LIMB_BITS>(l0)),
            _mm512_add_epi64(_mm512_and_si512(l2, mask), _mm512_srli_epi64::<LIMB_BITS>(l1)),
            _mm512_add_epi64(_mm512_and_si512(l3, mask), _mm512_srli_epi64::<LIMB_BITS>(l2)),
            _mm512_add_epi64(_mm512_and_si512(l4, mask), _mm512_srli_epi64::<LIMB_BITS>(l3)),
        ])
    }

    /// The sum.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn add(self, other: Self) -> Self {
        let mut sum = self.0;
        for i in 0..LIMBS {
            sum[i] = _mm512_add_epi64(sum[i], other.0[i]);
        }
        Self::carry(sum)
    }

    /// The difference.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn sub(self, other: Self) -> Self {
        let mut difference = self.0;
        for i in 0..LIMBS {
            // 2p comes first, so that no limb goes below zero.
            difference[i] = _mm512_sub_epi64(_mm512_add_epi64(difference[i], splat(TWICE_P[i])), other.0[i]);
        }
        Self::carry(difference)
    }

    /// Twice this element plus the other one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn double_and_add(self, other: Self) -> Self {
        let mut sum = other.0;
        for i in 0..LIMBS {
            sum[i] = _mm512_add_epi64(_mm512_add_epi64(self.0[i], self.0[i]), sum[i]);
        }
        Self::carry(sum)
    }

    /// Twice this element minus the other one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn double_and_sub(self, other: Self) -> Self {
        let mut difference = self.0;
        for i in 0..LIMBS {
            let twice = _mm512_add_epi64(difference[i], difference[i]);
            difference[i] = _mm512_sub_epi64(_mm512_add_epi64(twice, splat(TWICE_P[i])), other.0[i]);
        }
        Self::carry(difference)
    }

    /// The negative in the lanes of `mask`, for multiplication only.
    ///
    /// It is 2p minus the element without a carry: limbs below 2^52, as `mul()` asks, but beyond the bound.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn negate_factor(self, mask: LaneMask) -> Self {
        let mut lanes = self.0;
        for i in 0..LIMBS {
            lanes[i] = _mm512_mask_sub_epi64(lanes[i], mask, splat(TWICE_P[i]), lanes[i]);
        }
        Self(lanes)
    }

    /// The product.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn mul(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        // Column k collects what weighs 2^(51 k). High halves of products of weight 2^(51 k) go to column k + 1, twice.
        let mut columns = [splat(0); 2 * LIMBS];
        for i in 0..LIMBS {
            for j in 0..LIMBS {
                columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
            }
        }
        for column in &mut columns[1..] {
            *column = _mm512_add_epi64(*column, *column);
        }
        // The upper half is finished first, and folded, so that its sums are where the lower half starts.
        for i in 0..LIMBS {
            for j in LIMBS - i..LIMBS {
                columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
            }
        }
        let mut limbs = Self::fold(columns);
        for i in 0..LIMBS {
            for j in 0..LIMBS - i {
                limbs[i + j] = _mm512_madd52lo_epu64(limbs[i + j], a[i], b[j]);
            }
        }
        // A column of the upper half has at most 4 low halves and twice 5 high ones, so it is below 14 2^52. A column of
        // the lower half has 5 and twice 4, and 19 times the upper one: below (13 + 19 * 14) 2^52 < 2^61.
        Self::carry(limbs)
    }

    /// The product with itself: 30 multiplications instead of 50.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn square(self) -> Self {
        let a = self.0;
        // As in `mul()`, where a product of two different limbs counts twice. In a column it is therefore added before
        // the column is doubled, and the square of a limb after.
        let mut columns = [splat(0); 2 * LIMBS];
        for i in 0..LIMBS {
            for j in i + 1..LIMBS {
                columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
            }
        }
        for column in &mut columns[2..2 * LIMBS - 1] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..LIMBS {
            columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
        }
        for i in 0..LIMBS {
            for j in i + 1..LIMBS {
                columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
            }
        }
        for column in &mut columns[1..] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..LIMBS {
            columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
        }
        let folded = Self::fold(columns);
        // The columns have the values that they have in `mul()`, so the same bounds hold.
        Self::carry(folded)
    }

    /// Adds 19 times column k + 5 to column k: 2^255 is 19 modulo p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn fold(columns: [Lanes; 2 * LIMBS]) -> [Lanes; LIMBS] {
        let mut limbs = [splat(0); LIMBS];
        for k in 0..LIMBS {
            limbs[k] = _mm512_add_epi64(columns[k], _mm512_mullo_epi64(columns[k + LIMBS], splat(19)));
        }
        limbs
    }

    /// Lane by lane `self` where the bit of `mask` is 0, and `other` where it is 1.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn select(self, other: Self, mask: LaneMask) -> Self {
        let mut lanes = self.0;
        for i in 0..LIMBS {
            lanes[i] = _mm512_mask_blend_epi64(mask, self.0[i], other.0[i]);
        }
        Self(lanes)
    }

    /// The one form of each element with a value below p and every limb below 2^51.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn canonical(self) -> Self {
        let mask = splat(LIMB_MASK);
        // By the bound the value is below 2^255 + 2^223 < 2p, so it has to lose p once or not at all: once if adding 19
        // carries into bit 255. Adding 19 and dropping that bit then is subtracting p.
        let mut carry = splat(19);
        for limb in self.0 {
            carry = _mm512_srli_epi64::<LIMB_BITS>(_mm512_add_epi64(limb, carry));
        }
        carry = _mm512_madd52lo_epu64(splat(0), carry, splat(19));
        let mut lanes = self.0;
        for limb in &mut lanes {
            let sum = _mm512_add_epi64(*limb, carry);
            *limb = _mm512_and_si512(sum, mask);
            carry = _mm512_srli_epi64::<LIMB_BITS>(sum);
        }
        Self(lanes)
    }

    /// Which lanes are 0 modulo p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn is_zero(self) -> LaneMask {
        let [l0, l1, l2, l3, l4] = self.canonical().0;
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(l0, l1), _mm512_or_si512(l2, l3)), l4);
        _mm512_testn_epi64_mask(any, any)
    }

    /// Which lanes are odd, as integers from 0 to p - 1.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn is_odd(self) -> LaneMask {
        _mm512_test_epi64_mask(self.canonical().0[0], splat(1))
    }
}

/// `count` squarings of each register. Those of one register wait for each other, so two at a time fill the gaps.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn square_times<const N: usize>(mut elements: [Fe8; N], count: u32) -> [Fe8; N] {
    for _ in 0..count {
        for element in &mut elements {
            *element = element.square();
        }
    }
    elements
}

/// Register by register the product.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn mul_each<const N: usize>(mut a: [Fe8; N], b: [Fe8; N]) -> [Fe8; N] {
    for i in 0..N {
        a[i] = a[i].mul(b[i]);
    }
    a
}

/// Raises to 2^250 - 1, which both exponents below end in, and to 11. Returns the two powers.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn power_of_250_ones<const N: usize>(x: [Fe8; N]) -> ([Fe8; N], [Fe8; N]) {
    // `ones_n` is x to the power of 2^n - 1, which has n binary ones.
    let power_2 = square_times(x, 1);
    let power_9 = mul_each(square_times(power_2, 2), x);
    let power_11 = mul_each(power_9, power_2);
    let ones_5 = mul_each(square_times(power_11, 1), power_9);
    let ones_10 = mul_each(square_times(ones_5, 5), ones_5);
    let ones_20 = mul_each(square_times(ones_10, 10), ones_10);
    let ones_40 = mul_each(square_times(ones_20, 20), ones_20);
    let ones_50 = mul_each(square_times(ones_40, 10), ones_10);
    let ones_100 = mul_each(square_times(ones_50, 50), ones_50);
    let ones_200 = mul_each(square_times(ones_100, 100), ones_100);
    let ones_250 = mul_each(square_times(ones_200, 50), ones_50);
    (ones_250, power_11)
}

/// Raises to (p - 5) / 8 = 2^252 - 3, the heart of a square root.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub fn power_p58<const N: usize>(x: [Fe8; N]) -> [Fe8; N] {
    let (ones_250, _) = power_of_250_ones(x);
    mul_each(square_times(ones_250, 2), x)
}

/// Raises to p - 2 = 2^255 - 21: the inverse, and 0 for 0.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub fn invert<const N: usize>(x: [Fe8; N]) -> [Fe8; N] {
    let (ones_250, power_11) = power_of_250_ones(x);
    mul_each(square_times(ones_250, 5), power_11)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ifma::tests::{on_this_processor, random_bytes};
    use crate::lanes::store;

    /// A field element the slow way: four words, below p.
    type Element = [u64; 4];

    const P: Element = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

    /// The remainder modulo p of any number of words, one bit at a time.
    fn reduce(words: &[u64]) -> Element {
        let mut remainder = [0u64; 4];
        for word in words.iter().rev() {
            for bit in (0..64).rev() {
                let mut carry = word >> bit & 1;
                for limb in &mut remainder {
                    (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
                }
                if remainder.iter().rev().ge(P.iter().rev()) {
                    let mut borrow = false;
                    for (limb, p) in remainder.iter_mut().zip(P) {
                        let (partial, first) = limb.overflowing_sub(p);
                        let (word, second) = partial.overflowing_sub(u64::from(borrow));
                        (*limb, borrow) = (word, first | second);
                    }
                }
            }
        }
        remainder
    }

    fn product(a: Element, b: Element) -> Element {
        let mut words = [0u64; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                let sum = u128::from(a[i]) * u128::from(b[j]) + u128::from(words[i + j]) + u128::from(carry);
                (words[i + j], carry) = (sum as u64, (sum >> 64) as u64);
            }
            words[i + 4] = carry;
        }
        reduce(&words)
    }

    fn sum(a: Element, b: Element) -> Element {
        let mut words = [0u64; 5];
        let mut carry = 0;
        for i in 0..4 {
            let sum = u128::from(a[i]) + u128::from(b[i]) + carry;
            (words[i], carry) = (sum as u64, sum >> 64);
        }
        words[4] = carry as u64;
        reduce(&words)
    }

    fn difference(a: Element, b: Element) -> Element {
        sum(a, product([P[0] - 1, P[1], P[2], P[3]], b))
    }

    /// What five limbs stand for; they need not be below 2^51.
    fn element_of(limbs: [u64; LIMBS]) -> Element {
        limbs.iter().rev().fold([0; 4], |value, &limb| sum(product(value, [1 << 51, 0, 0, 0]), [limb, 0, 0, 0]))
    }

    #[target_feature(enable = "avx512f")]
    fn pack(limbs: [[u64; LIMBS]; LANES]) -> Fe8 {
        let mut lanes = [splat(0); LIMBS];
        for (i, register) in lanes.iter_mut().enumerate() {
            *register = load(&limbs.map(|limbs| limbs[i]));
        }
        Fe8(lanes)
    }

    #[target_feature(enable = "avx512f")]
    fn unpack(elements: Fe8) -> [[u64; LIMBS]; LANES] {
        let mut registers = [[0; LANES]; LIMBS];
        for (register, words) in elements.0.into_iter().zip(&mut registers) {
            store(register, words);
        }
        std::array::from_fn(|lane| registers.map(|register| register[lane]))
    }

    /// Checks the bound that every function promises, and what the limbs stand for.
    #[target_feature(enable = "avx512f")]
    fn assert_elements(result: Fe8, expected: [Element; LANES]) {
        let limbs = unpack(result);
        assert!(limbs.as_flattened().iter().all(|&limb| limb < BOUND), "a limb is beyond the bound: {limbs:x?}");
        assert_eq!(limbs.map(element_of), expected);
    }

    /// No limb of an `Fe8` reaches this.
    const BOUND: u64 = (1 << 51) + (1 << 18);

    /// Limbs at their limits, the elements around 0 and p, and random ones.
    fn samples() -> Vec<[u64; LIMBS]> {
        let top = LIMB_MASK;
        let mut samples = vec![
            [0; LIMBS],
            [1, 0, 0, 0, 0],
            [2, 0, 0, 0, 0],
            [top - 19, top, top, top, top], // p - 1
            [top - 18, top, top, top, top], // p
            [top - 17, top, top, top, top], // p + 1
            [top; LIMBS],                   // 2^255 - 1
            [BOUND - 1; LIMBS],
            [BOUND - 1, 0, BOUND - 1, 0, BOUND - 1],
            [0, BOUND - 1, 0, BOUND - 1, 0],
            [0, 0, 0, 0, BOUND - 1],
            [1 << 51, top, top, top, top], // 2^255
            [1 << 50; LIMBS],
        ];
        for seed in 0..11 {
            let bytes = random_bytes(seed);
            let (words, _) = bytes.as_chunks::<8>();
            samples.push(std::array::from_fn(|i| u64::from_le_bytes(words[i]) % BOUND));
        }
        samples
    }

    #[test]
    fn sums_differences_and_products_are_those_of_plain_integers_and_keep_the_bound() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let samples = samples();
            let pairs: Vec<_> = samples.iter().flat_map(|&a| samples.iter().map(move |&b| (a, b))).collect();
            for pairs in pairs.as_chunks::<LANES>().0 {
                let (a, b) = (pack(pairs.map(|(a, _)| a)), pack(pairs.map(|(_, b)| b)));
                let pairs = pairs.map(|(a, b)| (element_of(a), element_of(b)));
                assert_elements(a.add(b), pairs.map(|(a, b)| sum(a, b)));
                assert_elements(a.sub(b), pairs.map(|(a, b)| difference(a, b)));
                assert_elements(a.double_and_add(b), pairs.map(|(a, b)| sum(a, sum(a, b))));
                assert_elements(a.double_and_sub(b), pairs.map(|(a, b)| difference(sum(a, a), b)));
                assert_elements(a.mul(b), pairs.map(|(a, b)| product(a, b)));
                assert_elements(a.mul(b.negate_factor(0x0f)), {
                    let mut expected = pairs.map(|(a, b)| product(a, b));
                    for lane in 0..4 {
                        expected[lane] = difference([0; 4], expected[lane]);
                    }
                    expected
                });
                assert_eq!(pairs.map(|(a, b)| a == b), bits(a.sub(b).is_zero()));
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn squares_powers_and_inverses_agree_with_products() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            for samples in samples().as_chunks::<LANES>().0 {
                let a = pack(*samples);
                let elements = samples.map(element_of);
                assert_elements(a.square(), elements.map(|a| product(a, a)));
                assert_elements(a.mul(invert([a])[0]), elements.map(|a| [u64::from(a != [0; 4]), 0, 0, 0]));
                // x^((p - 5) / 8), raised to 8 and multiplied by x^4, is x^(p - 1).
                let eighth_power = power_p58([a])[0].square().square().square();
                let fermat = eighth_power.mul(a.square().square());
                assert_elements(fermat, elements.map(|a| [u64::from(a != [0; 4]), 0, 0, 0]));
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn registers_side_by_side_do_not_disturb_each_other() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let samples = samples();
            let [a, b, ..] = samples.as_chunks::<LANES>().0 else { panic!("sixteen samples are too few") };
            let (a, b) = (pack(*a), pack(*b));
            let [first, second] = power_p58([a, b]);
            assert_eq!(unpack(first), unpack(power_p58([a])[0]));
            assert_eq!(unpack(second), unpack(power_p58([b])[0]));
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn every_element_has_one_canonical_form() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            for samples in samples().as_chunks::<LANES>().0 {
                let elements = samples.map(element_of);
                let canonical = unpack(pack(*samples).canonical());
                let expected = elements.map(|[w0, w1, w2, w3]| {
                    [w0, w0 >> 51 | w1 << 13, w1 >> 38 | w2 << 26, w2 >> 25 | w3 << 39, w3 >> 12]
                        .map(|limb| limb & LIMB_MASK)
                });
                assert_eq!(canonical, expected);
                assert_eq!(bits(pack(*samples).is_odd()), elements.map(|a| a[0] & 1 == 1));
                assert_eq!(bits(pack(*samples).is_zero()), elements.map(|a| a == [0; 4]));
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn integers_are_read_without_their_highest_bit() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let integers: [[u64; 4]; LANES] = std::array::from_fn(|lane| match lane {
                0 => [0; 4],
                1 => [u64::MAX; 4],
                2 => P,
                _ => {
                    let bytes = random_bytes(lane as u64);
                    let (words, _) = bytes.as_chunks::<8>();
                    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
                }
            });
            let read = Fe8::from_words(&std::array::from_fn(|j| integers.map(|integer| integer[j])));
            assert_elements(read, integers.map(|[w0, w1, w2, w3]| reduce(&[w0, w1, w2, w3 & u64::MAX >> 1])));
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    fn bits(mask: LaneMask) -> [bool; LANES] {
        std::array::from_fn(|lane| mask >> lane & 1 == 1)
    }
}
