//! Seeds in documents: numbers, and texts where TOML's numbers end (2^63).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer>(seed: &u64, to: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(number) => number.serialize(to),
        Err(_) => seed.to_string().serialize(to),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Number(u64),
        Text(String),
    }
    let seed = match Seed::deserialize(from) {
        Ok(Seed::Number(number)) => Some(number),
        Ok(Seed::Text(text)) => text.parse().ok(),
        Err(_) => None,
    };
    seed.ok_or_else(|| {
        D::Error::custom(format_args!("expected a whole number from 0 to {}", u64::MAX))
    })
}
