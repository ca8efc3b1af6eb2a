//! Damaged input of every kind that the crate reads: an error that says what is wrong, never a
//! panic, a hang, or memory out of proportion.
//!
//! Each test mutates good files ("seeds") and reads the result. `cargo test` tries a few dozen
//! inputs of each kind, always the same ones. A campaign tries more, and others by the seed:
//!
//! ```text
//! BURN_MIM_FUZZ_INPUTS=10000 BURN_MIM_FUZZ_SEED=1 cargo test --release --test fuzz -- --nocapture
//! ```
//!
//! An input that breaks a rule stays in cargo's folder for test files, which the message names.
#![cfg(all(feature = "train", feature = "viz"))]

mod campaign;
mod clips;
mod configurations;
#[path = "../common/films.rs"]
mod films;
mod images;
mod mutation;
mod runs;
mod shards;
mod weights;
