//! Multiscalar multiplication: the sum of many points, each times a scalar of 128 bits.
//!
//! This is Pippenger's method with signed digits. A scalar is written in windows of c bits, with digits from -2^(c-1) to
//! 2^(c-1) - 1. In one window all points with digit b or -b go to bucket b, and the window's sum is the sum of b times
//! bucket b. Horner's rule puts the windows together.
//!
//! Eight buckets are summed at a time, one in each lane, by additions of points that are fetched from all over the table.
//! Buckets are taken in the order of their lengths, so that the eight lanes end at about the same time; a lane that ends
//! early adds the identity.
//!
//! The time depends on the scalars: never use it with a secret.

use std::ops::Range;

use super::field::LIMBS;
use super::point::{Niels8, Point8, PointWords, Record};
use crate::lanes::LANES;

/// Bits that a scalar has at most.
const SCALAR_BITS: u32 = 128;

/// A point of a table and its factor.
#[derive(Clone, Copy)]
pub struct Term {
    /// Position in the table.
    pub point: u32,
    /// The factor.
    pub scalar: u128,
}

/// Sums up the terms; the result is in lane 0. `table[0]` must be the identity, and the table shorter than 2^31.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub fn sum(terms: &[Term], table: &[Record]) -> Point8 {
    assert!(table.len() < 1 << 31, "an entry has 31 bits for a position");
    let windows = Windows::for_terms(terms.len());
    let mut plan = Plan::new(windows);
    let digits = windows.digits(terms);
    let mut buckets = vec![Point8::identity().to_words(); windows.chunk()];
    let mut sums = Vec::with_capacity(windows.count);
    for window in 0..windows.count {
        plan.arrange(&digits[window * terms.len()..][..terms.len()], terms);
        plan.fill_buckets(table, &mut buckets);
        sums.push(ChunkSums::of_buckets(&buckets));
    }
    horner(&combine_chunks(&sums, windows), windows)
}

/// How scalars are cut into digits.
#[derive(Clone, Copy)]
struct Windows {
    /// Bits of a digit, c.
    bits: u32,
    /// Digits of a scalar.
    count: usize,
}

impl Windows {
    /// The widths that measured best. Wide windows mean fewer additions for a term, and more for the buckets; 8 bits are
    /// never best, because 17 windows of them have 7 bits more than there are to cover.
    fn for_terms(count: usize) -> Self {
        let bits = match count {
            0..=16 => 4,
            17..=40 => 5,
            41..=450 => 6,
            451..=1_500 => 7,
            1_501..=2_500 => 9,
            2_501..=12_000 => 10,
            12_001..=30_000 => 11,
            _ => 12,
        };
        // The bias below needs a bit more than the scalar has.
        Self { bits, count: (SCALAR_BITS + 1).div_ceil(bits) as usize }
    }

    /// Buckets of a window: one for each digit's magnitude but 0.
    fn buckets(self) -> usize {
        1 << (self.bits - 1)
    }

    /// Buckets of a window that one lane multiplies by their digits.
    fn chunk(self) -> usize {
        self.buckets() / LANES
    }

    /// The digits of all terms, window by window, lowest window first.
    ///
    /// Adding 2^(c-1) in every window makes each digit that is below it borrow from the next: the digits of the sum,
    /// less 2^(c-1), are signed digits of the scalar. The scalar is below 2^128 and the bias below
    /// 2^(c count - 1) + 2^(c count - c), so with c count >= 129 the sum has no bit beyond the last window.
    fn digits(self, terms: &[Term]) -> Vec<i16> {
        let half = 1i16 << (self.bits - 1);
        let mask = (1u64 << self.bits) - 1;
        let mut bias = [0u64; 3];
        for window in 0..self.count {
            let bit = window * self.bits as usize + self.bits as usize - 1;
            bias[bit / 64] |= 1 << (bit % 64);
        }
        let bias_low = u128::from(bias[1]) << 64 | u128::from(bias[0]);
        let mut digits = vec![0; self.count * terms.len()];
        for (position, term) in terms.iter().enumerate() {
            let (low, carries) = term.scalar.overflowing_add(bias_low);
            let words = [low as u64, (low >> 64) as u64, bias[2] + u64::from(carries), 0];
            for window in 0..self.count {
                let bit = window * self.bits as usize;
                let pair = u128::from(words[bit / 64 + 1]) << 64 | u128::from(words[bit / 64]);
                let digit = (pair >> (bit % 64)) as u64 & mask;
                digits[window * terms.len() + position] = digit as i16 - half;
            }
        }
        digits
    }
}

/// An entry of a bucket: the point's position, doubled, plus 1 if it is to be subtracted. 0 is the identity.
type Entry = u32;

/// Which points go to which bucket of a window, in the order in which the lanes take them.
struct Plan {
    windows: Windows,
    /// Length of each bucket; bucket b is at position b - 1.
    lengths: Vec<u32>,
    /// The positions of the buckets, longest first.
    order: Vec<u32>,
    /// Eight buckets side by side, one entry of each in a row, and so on with the next eight.
    rows: Vec<[Entry; LANES]>,
    /// The rows of each eight buckets.
    groups: Vec<Range<usize>>,
}

impl Plan {
    fn new(windows: Windows) -> Self {
        Self {
            windows,
            lengths: vec![0; windows.buckets()],
            order: (0..windows.buckets() as u32).collect(),
            rows: Vec::new(),
            groups: Vec::with_capacity(windows.chunk()),
        }
    }

    /// Sorts the terms by the magnitudes of their digits in one window.
    fn arrange(&mut self, digits: &[i16], terms: &[Term]) {
        self.lengths.fill(0);
        for digit in digits.iter().filter(|&&digit| digit != 0) {
            self.lengths[usize::from(digit.unsigned_abs()) - 1] += 1;
        }
        self.order.sort_unstable_by_key(|&bucket| std::cmp::Reverse(self.lengths[bucket as usize]));
        // Where the next entry of each bucket goes, as an index into the rows one after the other.
        let mut cursors = vec![0; self.windows.buckets()];
        let mut row_count = 0;
        self.groups.clear();
        let (groups, _) = self.order.as_chunks::<LANES>();
        for group in groups {
            for (lane, &bucket) in group.iter().enumerate() {
                cursors[bucket as usize] = row_count * LANES + lane;
            }
            let longest = self.lengths[group[0] as usize] as usize;
            self.groups.push(row_count..row_count + longest);
            row_count += longest;
        }
        self.rows.clear();
        self.rows.resize(row_count, [0; LANES]);
        let entries = self.rows.as_flattened_mut();
        for (&digit, term) in digits.iter().zip(terms) {
            if digit != 0 {
                let cursor = &mut cursors[usize::from(digit.unsigned_abs()) - 1];
                entries[*cursor] = term.point << 1 | Entry::from(digit < 0);
                *cursor += LANES;
            }
        }
    }

    /// Sums up every bucket. The one at position i goes to lane i / chunk of entry i % chunk of `buckets`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn fill_buckets(&self, table: &[Record], buckets: &mut [PointWords]) {
        let chunk = self.windows.chunk();
        let (groups, _) = self.order.as_chunks::<LANES>();
        for (group, rows) in groups.iter().zip(&self.groups) {
            let words = sum_rows(&self.rows[rows.clone()], table).to_words();
            for (lane, &position) in group.iter().enumerate() {
                let (to, to_lane) = (position as usize % chunk, position as usize / chunk);
                copy_lane(&words, lane, &mut buckets[to], to_lane);
            }
        }
    }
}

/// Sums up the entries of each lane.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn sum_rows(rows: &[[Entry; LANES]], table: &[Record]) -> Point8 {
    let Some((first, rest)) = rows.split_first() else {
        return Point8::identity();
    };
    let (points, negative) = fetch(first, table);
    let mut sum = Point8::from_niels(points, negative);
    for row in rest {
        let (points, negative) = fetch(row, table);
        sum = sum.add_niels(points, negative);
    }
    sum
}

/// The points of a row, and which of them are to be subtracted.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch(row: &[Entry; LANES], table: &[Record]) -> (Niels8, u8) {
    let mut negative = 0;
    for lane in 0..LANES {
        negative |= ((row[lane] & 1) as u8) << lane;
    }
    (Niels8::gather(table, row.map(|entry| (entry >> 1) as usize)), negative)
}

/// The sums of a window's buckets, by chunks: lane j has the buckets at the positions from j times chunk on.
struct ChunkSums {
    /// The sum of the buckets of the lane.
    plain: PointWords,
    /// The same, where the first bucket of the lane counts once, the second twice, and so on.
    weighted: PointWords,
}

impl ChunkSums {
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn of_buckets(buckets: &[PointWords]) -> Self {
        let (last, others) = buckets.split_last().expect("a chunk has at least one bucket");
        let mut plain = Point8::from_words(last);
        let mut weighted = plain;
        // What was added first is added again with every bucket before it.
        for bucket in others.iter().rev() {
            plain = plain.add(Point8::from_words(bucket));
            weighted = weighted.add(plain);
        }
        Self { plain: plain.to_words(), weighted: weighted.to_words() }
    }
}

/// Puts the chunks of each window together. The sum of window i is in lane i % 8 of entry i / 8.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn combine_chunks(sums: &[ChunkSums], windows: Windows) -> Vec<PointWords> {
    let mut combined = Vec::with_capacity(sums.len().div_ceil(LANES));
    for group in sums.chunks(LANES) {
        // From here on a lane is a window, so the sum over chunks is one over registers.
        let mut plain = [Point8::identity().to_words(); LANES];
        let mut weighted = plain;
        for (window, sums) in group.iter().enumerate() {
            for chunk in 0..LANES {
                copy_lane(&sums.plain, chunk, &mut plain[chunk], window);
                copy_lane(&sums.weighted, chunk, &mut weighted[chunk], window);
            }
        }
        // The buckets before chunk j are j times chunk: j times its plain sum, times the length of a chunk, is missing.
        let mut running = Point8::from_words(&plain[LANES - 1]);
        let mut missing = running;
        let mut total = Point8::from_words(&weighted[LANES - 1]);
        for chunk in (1..LANES - 1).rev() {
            running = running.add(Point8::from_words(&plain[chunk]));
            missing = missing.add(running);
            total = total.add(Point8::from_words(&weighted[chunk]));
        }
        total = total.add(Point8::from_words(&weighted[0]));
        combined.push(total.add(missing.double_times(windows.chunk().ilog2())).to_words());
    }
    combined
}

/// The sum of 2^(c i) times window i, in lane 0; window i is in lane i % 8 of entry i / 8.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn horner(sums: &[PointWords], windows: Windows) -> Point8 {
    let mut total = Point8::identity();
    for window in (0..windows.count).rev() {
        let mut summand = sums[window / LANES];
        copy_lane(&sums[window / LANES], window % LANES, &mut summand, 0);
        total = total.double_times(windows.bits).add(Point8::from_words(&summand));
    }
    total
}

/// Copies the point of one lane to another.
#[inline]
fn copy_lane(from: &PointWords, from_lane: usize, to: &mut PointWords, to_lane: usize) {
    for i in 0..4 * LIMBS {
        to[i][to_lane] = from[i][from_lane];
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::edwards::EdwardsPoint;
    use curve25519_dalek::scalar::Scalar;
    use curve25519_dalek::traits::Identity;

    use super::super::point::tests::{decode_eight, encode_points, mixed_order_point};
    use super::*;
    use crate::ifma::tests::{on_this_processor, random_bytes};

    /// The identity and some points with parts of small order: as the reference has them, and as a table.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn tables(count: usize) -> (Vec<EdwardsPoint>, Vec<Record>) {
        let mut points = vec![EdwardsPoint::identity()];
        let mut table = vec![Record::IDENTITY];
        for start in (0..count as u64).step_by(LANES) {
            let eight: [_; LANES] = std::array::from_fn(|lane| mixed_order_point(start + lane as u64));
            table.extend(decode_eight(&eight.map(|point| point.compress().0)).0.to_niels().to_records());
            points.extend(eight);
        }
        (points, table)
    }

    fn random_scalar(seed: u64) -> u128 {
        u128::from_le_bytes(*random_bytes(seed).first_chunk().unwrap())
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn assert_sum(terms: &[Term], points: &[EdwardsPoint], table: &[Record]) {
        // Scalars are not reduced modulo l here, which would change what they make of a part of small order.
        let expected = terms.iter().map(|term| points[term.point as usize] * Scalar::from(term.scalar)).sum();
        let expected: EdwardsPoint = expected;
        assert_eq!(encode_points(sum(terms, table))[0], expected.compress().0, "{} terms", terms.len());
    }

    #[test]
    fn a_sum_of_any_number_of_terms_is_what_adding_one_by_one_gives() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let (points, table) = tables(64);
            for count in (0..20).chain([40, 41, 64, 450, 451, 1_500, 1_501, 2_500, 2_501]) {
                let terms: Vec<_> =
                    (0..count).map(|i| Term { point: (i % 64 + 1) as u32, scalar: random_scalar(i) }).collect();
                assert_sum(&terms, &points, &table);
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn scalars_with_extreme_digits_are_no_exception() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let (points, table) = tables(8);
            for scalar in
                [0, 1, 2, 8, u128::MAX, u128::MAX - 1, 1 << 127, (1 << 127) - 1, u128::MAX / 3, u128::MAX / 31]
            {
                for count in [1, 7, 40, 130, 330] {
                    // All terms have the same digits: one long bucket in each window.
                    let terms: Vec<_> = (0..count).map(|i| Term { point: i % 8 + 1, scalar }).collect();
                    assert_sum(&terms, &points, &table);
                }
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn digits_of_every_width_stand_for_the_scalar() {
        let scalars = [0, 1, u128::MAX, 1 << 127, u128::MAX / 3, random_scalar(1), random_scalar(2)];
        let terms = scalars.map(|scalar| Term { point: 0, scalar });
        for count in [1, 20, 100, 1_000, 2_000, 10_000, 30_000, 100_000] {
            let windows = Windows::for_terms(count);
            let digits = windows.digits(&terms);
            for (position, &scalar) in scalars.iter().enumerate() {
                // Modulo 2^128 the sum of digits with their weights may wrap around, and is still the scalar.
                let value = (0..windows.count).rev().fold(0u128, |value, window| {
                    let digit = i128::from(digits[window * terms.len() + position]);
                    assert!(digit.unsigned_abs() <= windows.buckets() as u128);
                    value.wrapping_shl(windows.bits).wrapping_add_signed(digit)
                });
                assert_eq!(value, scalar, "digits of {} bits", windows.bits);
            }
        }
    }
}
