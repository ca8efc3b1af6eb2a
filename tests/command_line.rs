//! The command lines of examples that are no commands of the crate: what they refuse, and that what
//! they accept acts.
#![cfg(feature = "cli")]

#[path = "../examples/common/picture.rs"]
mod picture;
#[path = "../examples/throughput/args.rs"]
#[allow(dead_code, reason = "the example makes images too")]
mod throughput;

use clap::Parser;

fn parse<T: Parser>(flags: &str) -> Result<T, String> {
    let flags = std::iter::once("example").chain(flags.split_whitespace());
    T::try_parse_from(flags).map_err(|error| error.to_string())
}

#[test]
fn a_throughput_refuses_parts_that_its_method_has_not() {
    let task = |flags: &str| {
        let args: throughput::Args = parse(flags).unwrap();
        args.case().err().map_or(String::new(), |error| error.to_string())
    };
    assert_eq!(task("--method mae --decoder-width 64 --decoder-heads 2"), "");
    let message = task("--method simmim --decoder-depth 2");
    assert!(message.contains("is for --method mae: simmim has no decoder"), "{message}");
    let message = task("--method mae --window 4");
    assert!(message.contains("--window is for --encoder swin: vit has no windows"), "{message}");
}
