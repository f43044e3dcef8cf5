//! Arbitrary bytes as a record and as an envelope: what is called canonical must come out the same of a foreign codec.

#![no_main]

use arbitrary::Arbitrary;
use ledger_native::canonical::is_surely_canonical;
use ledger_native::envelopes::{Examined, Prefixes, examine};
use ledger_native::merkle::root_of;
use ledger_native::sha256::{Hash, Prefix};
use libfuzzer_sys::fuzz_target;
use rmpv::Value;
use sha2::{Digest, Sha256};

const HEADER: &[u8] = b"header\0";
const RECORD: &[u8] = b"\0record\0";
const CHAIN: [u8; 32] = [7; 32];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    loose: &'a [u8],
    numbers: [u64; 3],
    records: Vec<&'a [u8]>,
    turned: Option<(u16, u8)>,
}

fuzz_target!(|input: Input<'_>| {
    check_record(input.loose);
    assert!(examine_one(input.loose).is_none(), "a hash was met by chance");
    if !(1..=256).contains(&input.records.len()) {
        return;
    }
    let signed = signed_part(&input);
    let mut raw = vec![0x96];
    write(&mut raw, &[Value::from("signed"), Value::from(1)]);
    let start = raw.len();
    raw.extend(&signed);
    write(&mut raw, &[input.records.iter().map(|&record| Value::from(record)).collect::<Vec<_>>().into()]);

    let examined = examine_one(&raw).expect("this is an envelope");
    assert_eq!(examined.signed, start..start + signed.len());
    assert_eq!(examined.id, sha256(HEADER, &signed[..signed.len() - 67]));
    for (record, sure) in input.records.iter().zip(&examined.surely_canonical) {
        assert_eq!(check_record(record), *sure);
    }
    if let Some((at, flip)) = input.turned.filter(|&(_, flip)| flip != 0) {
        let at = usize::from(at) % raw.len();
        raw[at] ^= flip;
        if let Some(other) = examine_one(&raw) {
            // Whatever is still an envelope differs in what is signed over, or in the signature.
            assert!(other.signed.contains(&at));
        }
    }
});

fn examine_one(raw: &[u8]) -> Option<Examined> {
    let prefixes = Prefixes { header: Prefix::new(HEADER), record: Prefix::new(RECORD) };
    examine(&[raw], &CHAIN, &prefixes)?.pop()
}

fn sha256(prefix: &[u8], bytes: &[u8]) -> Hash {
    Sha256::new().chain_update(prefix).chain_update(bytes).finalize().into()
}

/// Header, suite and signature, as a foreign encoder writes them.
fn signed_part(input: &Input<'_>) -> Vec<u8> {
    let root = root_of(input.records.iter().map(|record| sha256(RECORD, record)).collect());
    let [key_id, sequence, valid_until] = input.numbers.map(Value::from);
    let header = vec![
        Value::from("envelope"),
        Value::from(1),
        Value::from(&CHAIN[..]),
        Value::from("11110000000000000X"),
        key_id,
        sequence,
        valid_until,
        Value::from(&root[..]),
        Value::from(input.records.len()),
    ];
    let mut signed = Vec::new();
    write(&mut signed, &[Value::Array(header), Value::from(1), Value::from(&[9; 64][..])]);
    signed
}

fn write(to: &mut Vec<u8>, values: &[Value]) {
    for value in values {
        rmpv::encode::write_value(to, value).expect("memory is enough");
    }
}

/// Compares the verdict about a record with that of decoding it and encoding it again; returns it.
fn check_record(record: &[u8]) -> bool {
    let sure = is_surely_canonical(record);
    let mut rest = record;
    let Ok(value) = rmpv::decode::read_value(&mut rest) else {
        // The foreign codec gives up at a depth of its own.
        assert!(!sure || record.len() > 1_000, "not decodable, and surely canonical: {record:x?}");
        return sure;
    };
    let mut again = Vec::new();
    write(&mut again, std::slice::from_ref(&value));
    let same = rest.is_empty() && again == record;
    match plainness(&value) {
        Plainness::Plain => assert_eq!(sure, same, "{record:x?}"),
        Plainness::OtherText => assert!(!sure || same, "{record:x?}"),
        Plainness::Never => assert!(!sure, "{record:x?}"),
    }
    sure
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Plainness {
    /// Integers, byte strings, ASCII, booleans, nil.
    Plain,
    /// Text that may not be in normalisation form C.
    OtherText,
    /// Maps, floats, extensions, or text that is not UTF-8.
    Never,
}

fn plainness(value: &Value) -> Plainness {
    match value {
        Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Binary(_) => Plainness::Plain,
        Value::String(text) => match text.as_str() {
            Some(text) if text.is_ascii() => Plainness::Plain,
            Some(_) => Plainness::OtherText,
            None => Plainness::Never,
        },
        Value::Array(items) => items.iter().map(plainness).max().unwrap_or(Plainness::Plain),
        Value::Map(_) | Value::F32(_) | Value::F64(_) | Value::Ext(..) => Plainness::Never,
    }
}
