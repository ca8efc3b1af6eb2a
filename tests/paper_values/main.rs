//! The papers' numbers, worked out by hand or written from the papers and the official code, as a
//! user of the crate gets them.
#![cfg(feature = "train")]

#[path = "../common/mod.rs"]
mod common;
mod constructors;
mod figures;
mod presets;
mod sizes;
mod starts;
mod table;
