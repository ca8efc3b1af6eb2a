//! How good bytes are damaged.

use rand::{Rng, RngExt};

/// Numbers that readers get wrong: limits of integer types, and what is near them.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65535",
    "65536",
    "100000",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "0.5",
    "1e308",
    "-1e308",
    "1e400",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[]]]]]]]]",
];

/// The same limits as they stand in binary headers.
const WORDS: &[u64] = &[0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, !0];

/// Damages `bytes` once or a few times.
pub(crate) fn mutate(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..=4) {
        mutate_once(bytes, rng);
    }
}

fn mutate_once(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    // Half of the damage goes to the first bytes, where headers are.
    let reach = if rng.random() { bytes.len().min(256) } else { bytes.len() };
    let place = rng.random_range(0..reach);
    let length = rng.random_range(1..=64).min(bytes.len() - place);
    match rng.random_range(0..9) {
        0 => bytes[place] ^= 1 << rng.random_range(0..8),
        1 => bytes[place] = rng.random(),
        2 => bytes.truncate(place),
        3 => bytes[place..place + length].fill(0),
        4 => drop(bytes.drain(place..place + length)),
        5 => {
            let copy = bytes[place..place + length].to_vec();
            let at = rng.random_range(0..=bytes.len());
            bytes.splice(at..at, copy);
        }
        6 => {
            let word = WORDS[rng.random_range(0..WORDS.len())];
            let width = [1, 2, 4, 8][rng.random_range(0..4)].min(bytes.len() - place);
            let little = word.to_le_bytes();
            let mut word = little[..width].to_vec();
            if rng.random() {
                word.reverse();
            }
            bytes[place..place + width].copy_from_slice(&word);
        }
        _ => replace_number(bytes, place, rng),
    }
}

/// Exchanges the first number written in digits after `place` (the first of all if there is none).
fn replace_number(bytes: &mut Vec<u8>, place: usize, rng: &mut impl Rng) {
    let found = |from: usize| bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at);
    let Some(start) = found(place).or_else(|| found(0)) else { return };
    let is_part = |byte: &u8| byte.is_ascii_digit() || b".eE+-".contains(byte);
    let length = bytes[start..].iter().take_while(|byte| is_part(byte)).count();
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
    bytes.splice(start..start + length, number.bytes());
}
