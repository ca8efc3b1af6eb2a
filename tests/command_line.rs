//! The examples' command lines: what they refuse, and that what they accept acts.
#![cfg(feature = "cli")]

#[path = "../examples/common/mod.rs"]
#[allow(unused_imports, reason = "the examples end with what they import")]
mod common;
#[path = "../examples/common/picture.rs"]
mod picture;
#[path = "../examples/throughput/args.rs"]
#[allow(dead_code, reason = "the example makes images too")]
mod throughput;

use burn_mim::encoder::GptConfig;
use burn_mim::{Grid, ImageShape, MaskConfig, SwinConfig, VitConfig};
use clap::{CommandFactory, Parser};
use common::knobs::{Masking, Patches, Rate, Sizes, check_tokens};
use common::tokenizer::Kind;

/// As `mae_cifar10` has them.
#[derive(Debug, Parser)]
struct Mae {
    #[command(flatten)]
    common: common::Args,
    #[command(flatten)]
    rate: Rate,
    #[command(flatten)]
    patches: Patches,
    #[command(flatten)]
    masking: Masking,
    #[command(flatten)]
    sizes: Sizes,
}

/// As `train_tokenizer` has them.
#[derive(Debug, Parser)]
struct Tokenizer {
    #[command(flatten)]
    common: common::Args,
    #[command(flatten)]
    rate: Rate,
}

fn parse<T: Parser>(flags: &str) -> Result<T, String> {
    let flags = std::iter::once("example").chain(flags.split_whitespace());
    T::try_parse_from(flags).map_err(|error| error.to_string())
}

#[track_caller]
fn mae(flags: &str) -> Mae {
    parse(flags).unwrap()
}

/// The first line of what is said of flags that are refused.
#[track_caller]
fn refused<T: Parser + std::fmt::Debug>(flags: &str) -> String {
    parse::<T>(flags).unwrap_err().lines().next().unwrap().to_string()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_with_flag_value_and_range() {
    let huge = "18446744073709551615";
    for (flags, range) in [
        ("--train-images 0", "from 1 to 4294967295"),
        ("--epochs 0", "from 1 to 4294967295"),
        ("--batch-size 0", "from 1 to 4294967295"),
        ("--image-size 0", "from 1 to 4096"),
        ("--image-size 100000", "from 1 to 4096"),
        ("--workers 100000", "from 0 to 1024"),
        ("--patch-size 0", "from 1 to 4294967295"),
        ("--mask-ratio 1", "above 0 and below 1"),
        ("--lr 0", "a finite number above 0"),
        (&format!("--workers {huge}"), "from 0 to 1024"),
    ] {
        let message = refused::<Mae>(flags);
        let (flag, value) = flags.split_once(' ').unwrap();
        assert!(message.contains(flag) && message.contains(value), "{message}");
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn a_commands_own_help_says_what_it_does() {
    let about = |command: clap::Command| command.get_about().unwrap().to_string();
    assert_eq!(about(Mae::command()), "As `mae_cifar10` has them");
    assert_eq!(about(Tokenizer::command()), "As `train_tokenizer` has them");
}

#[test]
fn a_tokenizer_has_no_encoder_to_probe() {
    assert!(refused::<Tokenizer>("--probe 2").contains("unexpected argument '--probe'"));
}

#[test]
fn a_palette_refuses_what_only_training_reads() {
    for flag in ["--epochs 2", "--lr 1e-3", "--precision bf16", "--resume"] {
        let Tokenizer { common, rate } = parse(flag).unwrap();
        let message = Kind::Palette.check(&common, &rate).unwrap_err().to_string();
        let name = flag.split(' ').next().unwrap();
        assert!(message.contains(&format!("{name} does not act on a palette")), "{message}");
        Kind::Vq.check(&common, &rate).unwrap();
    }
    let Tokenizer { common, rate } = parse("--seed 3").unwrap();
    Kind::Palette.check(&common, &rate).unwrap();
}

#[test]
fn knobs_change_the_network_and_nothing_else() {
    let vit = VitConfig::new(ImageShape::square(3, 32), 4, 128, 6, 4);
    let Mae { patches, sizes, masking, .. } = mae("");
    assert_eq!(sizes.vit(patches.vit(vit.clone()).unwrap()), vit);
    let quarter = MaskConfig::Mae { ratio: 0.75 };
    assert_eq!(masking.of(quarter.clone()).unwrap(), quarter);
    let Mae { patches, sizes, masking, .. } =
        mae("--patch-size 8 --width 192 --depth 3 --mask-ratio 0.5");
    let changed = sizes.vit(patches.vit(vit.clone()).unwrap());
    // Heads of 32 features, as before.
    assert_eq!(changed, VitConfig { patch: 8, width: 192, depth: 3, heads: 6, ..vit });
    assert_eq!(masking.of(quarter).unwrap(), MaskConfig::Mae { ratio: 0.5 });
    let blind = masking.of(MaskConfig::Beit {}).unwrap_err().to_string();
    assert!(blind.contains("a mask ratio of 0.5 cannot be chosen"), "{blind}");
    let gpt = GptConfig::new(ImageShape::square(1, 8), 64, 4, 4);
    let narrow = mae("--width 40").sizes.gpt(gpt.clone()).unwrap();
    // 40 features are 2.5 heads of 16: two of 20.
    assert_eq!(narrow, GptConfig { width: 40, heads: 2, ..gpt });
}

#[test]
fn swin_is_widened_in_all_stages_and_refuses_one_depth() {
    let swin = SwinConfig::small_images(ImageShape::square(3, 32));
    let wide = mae("--width 96").sizes.swin(swin.clone()).unwrap();
    assert_eq!((wide.width, wide.heads.as_slice()), (96, &[6, 12, 24][..]));
    wide.validate().unwrap();
    let message = mae("--depth 3").sizes.swin(swin).unwrap_err().to_string();
    assert!(message.contains("--depth is for --encoder vit"), "{message}");
}

#[test]
fn images_of_too_many_tokens_are_refused_before_anything_is_made() {
    check_tokens(Grid::square(256), "").unwrap();
    let message = check_tokens(Grid::square(257), "--patch-size 16").unwrap_err().to_string();
    assert!(message.contains("66049 tokens an image (257×257) are more than 65536"), "{message}");
    let vit = VitConfig::new(ImageShape::square(3, 2048), 4, 128, 6, 4);
    let message = mae("").patches.vit(vit.clone()).unwrap_err().to_string();
    assert!(message.contains("--patch-size 16 or a smaller --image-size"), "{message}");
    assert_eq!(mae("--patch-size 16").patches.vit(vit).unwrap().patch, 16);
}

#[test]
fn the_device_is_looked_at_before_the_data() {
    let message = mae("--device tpu --data folder:/nowhere").common.open("mae").unwrap_err();
    assert!(message.to_string().contains("there is no backend \"tpu\""), "{message}");
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
