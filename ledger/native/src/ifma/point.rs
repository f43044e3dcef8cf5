//! Points of edwards25519, eight at a time: -x^2 + y^2 = 1 + d x^2 y^2 modulo p.
//!
//! The addition formulas are complete on this curve: they hold for equal points, for the identity and for points of small
//! order, so no lane needs a case of its own.
//!
//! Source: RFC 8032, section 5.1; Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves Revisited", sections 3.1 and 3.3.

use core::arch::x86_64::*;

use super::field::{Fe8, LIMBS, invert, power_p58};
use crate::lanes::{LANES, LaneMask, load, splat, store, transpose};

/// d = -121665 / 121666.
const CURVE_D: [u64; LIMBS] = [0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff];

/// 2 d.
const TWICE_D: [u64; LIMBS] = [0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff];

/// 1 / d.
const INVERSE_D: [u64; LIMBS] = [0xf276cdc9f843, 0x3084f2a85c4bc, 0x6e73d982d775a, 0x721958b108a66, 0x40907ed214d5c];

/// 2^((p - 1) / 4), a square root of -1.
const SQRT_MINUS_ONE: [u64; LIMBS] =
    [0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d];

/// l - 2^252, where l is the order of the base point.
const GROUP_ORDER_LOW: u128 = 27742317777372353535851937790883648493;

/// Bits of [`GROUP_ORDER_LOW`].
const GROUP_ORDER_LOW_BITS: u32 = u128::BITS - GROUP_ORDER_LOW.leading_zeros();

/// Eight encodings of 32 bytes as little-endian words: word j of encoding i is `[j][i]`.
pub type Encodings = [[u64; LANES]; 4];

/// Eight points (x, y).
#[derive(Clone, Copy)]
pub struct Affine8 {
    x: Fe8,
    y: Fe8,
}

/// Eight points as an addition wants its second operand: y + x, y - x and 2 d x y.
#[derive(Clone, Copy)]
pub struct Niels8 {
    y_plus_x: Fe8,
    y_minus_x: Fe8,
    xy2d: Fe8,
}

/// Eight points (X, Y, Z, T): x = X/Z, y = Y/Z, x y = T/Z.
#[derive(Clone, Copy)]
pub struct Point8 {
    x: Fe8,
    y: Fe8,
    z: Fe8,
    t: Fe8,
}

/// One point in memory, in the form of [`Niels8`]: three times five limbs, and a word that keeps it in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Record([[u64; LANES]; 2]);

/// Words of eight points in memory: limb i of coordinate c of the point in lane j is `[c * 5 + i][j]`.
pub type PointWords = [[u64; LANES]; 4 * LIMBS];

impl Record {
    /// The identity (0, 1): y + x = y - x = 1.
    pub const IDENTITY: Self = Self([[1, 0, 0, 0, 0, 1, 0, 0], [0; LANES]]);
}

/// Reads the points of N times eight encodings as liberally as ZIP-215 does; the masks say where there is one.
///
/// The y coordinate may be p or more and then counts modulo p, and the sign bit may be set where x is 0. Where an encoding
/// stands for no point, what is returned in its place is of no use.
///
/// Source: RFC 8032, section 5.1.3, without the two checks that ZIP-215 leaves out.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub fn decode<const N: usize>(encodings: &[Encodings; N]) -> ([Affine8; N], [LaneMask; N]) {
    let (one, sqrt_minus_one) = (Fe8::one(), Fe8::splat(SQRT_MINUS_ONE));
    let mut y = [one; N];
    let mut u = [one; N];
    let mut v = [one; N];
    let mut uv3 = [one; N];
    let mut uv7 = [one; N];
    for i in 0..N {
        // x^2 = u / v = (y^2 - 1) / (d y^2 + 1), and v is never 0 because -1/d is no square.
        y[i] = Fe8::from_words(&encodings[i]);
        let y_squared = y[i].square();
        u[i] = y_squared.sub(one);
        v[i] = y_squared.mul(Fe8::splat(CURVE_D)).add(one);
        let v3 = v[i].square().mul(v[i]);
        uv3[i] = v3.mul(u[i]);
        uv7[i] = uv3[i].mul(v3.mul(v[i]));
    }
    let power = power_p58(uv7);
    let mut points = [Affine8 { x: one, y: one }; N];
    let mut masks = [0; N];
    for i in 0..N {
        // A candidate root of u / v. If u / v is a square, then v x^2 is u or -u; in the second case i x is the root.
        let candidate = uv3[i].mul(power[i]);
        let vx2 = v[i].mul(candidate.square());
        let is_root = vx2.sub(u[i]).is_zero();
        let is_root_of_negative = vx2.add(u[i]).is_zero();
        let x = candidate.select(candidate.mul(sqrt_minus_one), !is_root);
        // The highest bit of an encoding is the lowest of x.
        let sign = _mm512_cmplt_epi64_mask(load(&encodings[i][3]), splat(0));
        points[i] = Affine8 { x: x.select(Fe8::zero().sub(x), x.is_odd() ^ sign), y: y[i] };
        masks[i] = is_root | is_root_of_negative;
    }
    (points, masks)
}

impl Niels8 {
    /// Takes point i from the record `table[indices[i]]`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn gather(table: &[Record], indices: [usize; LANES]) -> Self {
        let mut halves = [[splat(0); LANES]; 2];
        for lane in 0..LANES {
            let record = &table[indices[lane]];
            halves[0][lane] = load(&record.0[0]);
            halves[1][lane] = load(&record.0[1]);
        }
        let [a0, a1, a2, a3, a4, b0, b1, b2] = transpose(halves[0]);
        let [b3, b4, c0, c1, c2, c3, c4, _] = transpose(halves[1]);
        Self {
            y_plus_x: Fe8([a0, a1, a2, a3, a4]),
            y_minus_x: Fe8([b0, b1, b2, b3, b4]),
            xy2d: Fe8([c0, c1, c2, c3, c4]),
        }
    }

    /// The point of each lane as a record.
    #[target_feature(enable = "avx512f")]
    pub fn to_records(self) -> [Record; LANES] {
        let [a0, a1, a2, a3, a4] = self.y_plus_x.0;
        let [b0, b1, b2, b3, b4] = self.y_minus_x.0;
        let [c0, c1, c2, c3, c4] = self.xy2d.0;
        let first = transpose([a0, a1, a2, a3, a4, b0, b1, b2]);
        let second = transpose([b3, b4, c0, c1, c2, c3, c4, splat(0)]);
        let mut records = [Record::IDENTITY; LANES];
        for lane in 0..LANES {
            store(first[lane], &mut records[lane].0[0]);
            store(second[lane], &mut records[lane].0[1]);
        }
        records
    }

    /// The negative in the lanes of `mask`; 2 d x y then serves for multiplication only.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn negate(self, mask: LaneMask) -> Self {
        Self {
            y_plus_x: self.y_plus_x.select(self.y_minus_x, mask),
            y_minus_x: self.y_minus_x.select(self.y_plus_x, mask),
            xy2d: self.xy2d.negate_factor(mask),
        }
    }
}

impl Affine8 {
    /// The form for additions.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn to_niels(self) -> Niels8 {
        Niels8 {
            y_plus_x: self.y.add(self.x),
            y_minus_x: self.y.sub(self.x),
            xy2d: self.x.mul(self.y).mul(Fe8::splat(TWICE_D)),
        }
    }

    /// The form for sums.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn to_point(self) -> Point8 {
        Point8 { x: self.x, y: self.y, z: Fe8::one(), t: self.x.mul(self.y) }
    }
}

impl Point8 {
    /// The identity in every lane.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn identity() -> Self {
        Self { x: Fe8::zero(), y: Fe8::one(), z: Fe8::one(), t: Fe8::zero() }
    }

    /// The points, negated in the lanes of `negative`. Cheaper than adding them to the identity.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn from_niels(points: Niels8, negative: LaneMask) -> Self {
        let Niels8 { y_plus_x, y_minus_x, xy2d } = points.negate(negative);
        // With Z = 2 the coordinates are X = 2 x, Y = 2 y, T = 2 x y.
        let z = Fe8::splat([2, 0, 0, 0, 0]);
        Self { x: y_plus_x.sub(y_minus_x), y: y_plus_x.add(y_minus_x), z, t: Fe8::splat(INVERSE_D).mul(xy2d) }
    }

    /// The sums with `points`, which are subtracted in the lanes of `negative`: seven multiplications.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn add_niels(self, points: Niels8, negative: LaneMask) -> Self {
        let points = points.negate(negative);
        let a = self.y.sub(self.x).mul(points.y_minus_x);
        let b = self.y.add(self.x).mul(points.y_plus_x);
        let c = self.t.mul(points.xy2d);
        let (e, f) = (b.sub(a), self.z.double_and_sub(c));
        let (g, h) = (self.z.double_and_add(c), b.add(a));
        Self { x: e.mul(f), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }

    /// The sums: nine multiplications.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn add(self, other: Self) -> Self {
        let a = self.y.sub(self.x).mul(other.y.sub(other.x));
        let b = self.y.add(self.x).mul(other.y.add(other.x));
        let c = self.t.mul(Fe8::splat(TWICE_D)).mul(other.t);
        let zz = self.z.mul(other.z);
        let (e, f) = (b.sub(a), zz.double_and_sub(c));
        let (g, h) = (zz.double_and_add(c), b.add(a));
        Self { x: e.mul(f), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }

    /// Twice the points: four squarings and four multiplications.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn double(self) -> Self {
        let (x_squared, y_squared, z_squared) = (self.x.square(), self.y.square(), self.z.square());
        let h = x_squared.add(y_squared);
        let e = h.sub(self.x.add(self.y).square());
        let g = x_squared.sub(y_squared);
        let f = z_squared.double_and_add(g);
        Self { x: e.mul(f), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }

    /// 2^`count` times the points.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn double_times(self, count: u32) -> Self {
        let mut points = self;
        for _ in 0..count {
            points = points.double();
        }
        points
    }

    /// l times the points: the identity exactly for those of the prime-order group.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn times_group_order(self) -> Self {
        // Between 2^252 and these bits all are 0.
        let mut product = self.double_times(252 - GROUP_ORDER_LOW_BITS);
        for bit in (0..GROUP_ORDER_LOW_BITS).rev() {
            product = product.double();
            if GROUP_ORDER_LOW >> bit & 1 != 0 {
                product = product.add(self);
            }
        }
        product
    }

    /// The same points with Z = 1: one inversion.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn to_affine(self) -> Affine8 {
        let [z_inverse] = invert([self.z]);
        Affine8 { x: self.x.mul(z_inverse), y: self.y.mul(z_inverse) }
    }

    /// Which lanes are the identity (0, 1).
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn is_identity(self) -> LaneMask {
        self.x.is_zero() & self.y.sub(self.z).is_zero()
    }

    /// The coordinates as words of memory.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn to_words(self) -> PointWords {
        let mut words = [[0; LANES]; 4 * LIMBS];
        for (c, coordinate) in [self.x, self.y, self.z, self.t].into_iter().enumerate() {
            for i in 0..LIMBS {
                store(coordinate.0[i], &mut words[c * LIMBS + i]);
            }
        }
        words
    }

    /// Undoes [`Point8::to_words`]; lanes may have been exchanged on the way.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn from_words(words: &PointWords) -> Self {
        let mut coordinates = [Fe8::zero(); 4];
        for (c, coordinate) in coordinates.iter_mut().enumerate() {
            for i in 0..LIMBS {
                coordinate.0[i] = load(&words[c * LIMBS + i]);
            }
        }
        let [x, y, z, t] = coordinates;
        Self { x, y, z, t }
    }
}

#[cfg(test)]
pub mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
    use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
    use curve25519_dalek::scalar::Scalar;

    use super::*;
    use crate::ifma::tests::{NON_CANONICAL, on_this_processor, random_bytes};
    use crate::ifma::{has_lane, put};

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn decode_eight(encodings: &[[u8; 32]; LANES]) -> (Affine8, LaneMask) {
        let mut words = [[0; LANES]; 4];
        for (lane, encoding) in encodings.iter().enumerate() {
            put(&mut words, lane, encoding);
        }
        let ([points], [mask]) = decode(&[words]);
        (points, mask)
    }

    /// The canonical encodings.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn encode(points: Affine8) -> [[u8; 32]; LANES] {
        let mut limbs = [[0; LANES]; LIMBS];
        for (register, words) in points.y.canonical().0.into_iter().zip(&mut limbs) {
            store(register, words);
        }
        let signs = points.x.is_odd();
        let mut encodings = [[0; 32]; LANES];
        for (lane, encoding) in encodings.iter_mut().enumerate() {
            let [l0, l1, l2, l3, l4] = limbs.map(|register| register[lane]);
            let sign = u64::from(has_lane(signs, lane)) << 63;
            let words = [l0 | l1 << 51, l1 >> 13 | l2 << 38, l2 >> 26 | l3 << 25, l3 >> 39 | l4 << 12 | sign];
            for (bytes, word) in encoding.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                *bytes = word.to_le_bytes();
            }
        }
        encodings
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub fn encode_points(points: Point8) -> [[u8; 32]; LANES] {
        encode(points.to_affine())
    }

    /// A point with a part of small order; seeds that differ by 8 have the same one.
    pub fn mixed_order_point(seed: u64) -> EdwardsPoint {
        let scalar = Scalar::from_bytes_mod_order_wide(&random_bytes(seed));
        ED25519_BASEPOINT_TABLE * &scalar + EIGHT_TORSION[seed as usize % 8]
    }

    /// Compares what the kernel and the reference make of eight encodings.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn assert_decoded_alike(encodings: &[[u8; 32]; LANES]) {
        let (points, mask) = decode_eight(encodings);
        let canonical = encode(points);
        for (lane, &encoding) in encodings.iter().enumerate() {
            let ours = has_lane(mask, lane).then_some(canonical[lane]);
            let reference = CompressedEdwardsY(encoding).decompress().map(|point| point.compress().0);
            assert_eq!(ours, reference, "{encoding:x?}");
        }
    }

    #[test]
    fn random_strings_and_points_decode_as_the_reference_says() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            for seed in 0..200 {
                assert_decoded_alike(&std::array::from_fn(|lane| {
                    let seed = 8 * seed + lane as u64;
                    if lane < 6 {
                        *random_bytes(seed).first_chunk().unwrap()
                    } else {
                        mixed_order_point(seed).compress().0
                    }
                }));
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn points_of_small_order_and_coordinates_from_p_on_decode_as_zip_215_says() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let mut encodings: Vec<_> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
            encodings.extend(NON_CANONICAL);
            for encodings in encodings.chunks(LANES) {
                let eight = std::array::from_fn(|lane| encodings[lane % encodings.len()]);
                assert_eq!(decode_eight(&eight).1, 0xff, "ZIP-215 accepts all of them");
                assert_decoded_alike(&eight);
            }
            // The integers from 2^255 - 32 to 2^255 - 1, p and all others beyond it among them, with both signs.
            for low in (0xe0..=0xffu8).step_by(4) {
                assert_decoded_alike(&std::array::from_fn(|lane| {
                    let mut encoding = [0xff; 32];
                    encoding[0] = low + (lane % 4) as u8;
                    encoding[31] = if lane < 4 { 0x7f } else { 0xff };
                    encoding
                }));
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn sums_are_those_of_the_reference_for_equal_opposite_and_small_order_points_too() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let mut points: Vec<_> = (0..24).map(mixed_order_point).collect();
            points.extend(EIGHT_TORSION);
            for shift in 0..points.len() {
                for start in (0..points.len()).step_by(LANES) {
                    let a: [_; LANES] = std::array::from_fn(|lane| points[start + lane]);
                    let b: [_; LANES] = std::array::from_fn(|lane| points[(start + lane + shift) % points.len()]);
                    let first = decode_eight(&a.map(|point| point.compress().0)).0;
                    let second = decode_eight(&b.map(|point| point.compress().0)).0;
                    // Doubling leaves Z apart from 1, as it is inside a sum.
                    let twice = first.to_point().double();
                    let negative = 0x5a;
                    let expected: [_; LANES] = std::array::from_fn(|lane| {
                        (a[lane] + a[lane], if has_lane(negative, lane) { -b[lane] } else { b[lane] })
                    });
                    let records = second.to_niels().to_records();
                    let niels = Niels8::gather(&records, std::array::from_fn(|lane| lane));
                    assert_eq!(encode_points(twice), expected.map(|(a, _)| a.compress().0));
                    assert_eq!(
                        encode_points(Point8::from_niels(niels, negative)),
                        expected.map(|(_, b)| b.compress().0)
                    );
                    assert_eq!(
                        encode_points(twice.add_niels(niels, negative)),
                        expected.map(|(a, b)| (a + b).compress().0)
                    );
                    assert_eq!(
                        encode_points(twice.add(Point8::from_niels(niels, negative))),
                        expected.map(|(a, b)| (a + b).compress().0)
                    );
                }
            }
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn the_identity_is_recognised_and_records_of_it_add_nothing() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        fn check() {
            let encodings = EIGHT_TORSION.map(|point| point.compress().0);
            let torsion = decode_eight(&encodings).0.to_point();
            assert_eq!(torsion.is_identity(), 0b0000_0001);
            assert_eq!(torsion.double().is_identity(), 0b0001_0001);
            assert_eq!(torsion.double_times(3).is_identity(), 0xff);
            let identity = Niels8::gather(&[Record::IDENTITY], [0; LANES]);
            assert_eq!(Point8::from_niels(identity, 0).is_identity(), 0xff);
            assert_eq!(encode_points(torsion.add_niels(identity, 0)), encodings);
            assert_eq!(encode_points(torsion.add(Point8::identity())), encodings);
        }
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }
}
