//! Runs as documents: what a run leaves repeats it to the bit, and a wrong document is told in one
//! line what is wrong with it.
#![cfg(feature = "run")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_mim::data::DataSpec;
use burn_mim::method::{BuiltIn, Method, MethodVisitor, Methods};
use burn_mim::run::{Draft, RunDocument};
use burn_mim::{MaeConfig, Result};
use serde_json::Value;

/// IDX files of 8 gray images of 16 pixels to train on and 4 to test on.
fn images(folder: &Path) -> String {
    for (split, count) in [("train", 8u32), ("t10k", 4)] {
        let header = [0x0803, count, 16, 16].map(u32::to_be_bytes).concat();
        let pixels = (0..count * 256).map(|i| (i * i % 251) as u8);
        let bytes = header.into_iter().chain(pixels).collect::<Vec<_>>();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), bytes).unwrap();
        let header = [0x0801, count].map(u32::to_be_bytes).concat();
        let labels = header.into_iter().chain((0..count).map(|i| (i % 10) as u8));
        let bytes = labels.collect::<Vec<_>>();
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), bytes).unwrap();
    }
    format!("idx:{}", folder.display())
}

/// 8 films to train on and 4 to test on, of 16 frames of 16 × 16 pixels.
fn films(folder: &Path) -> String {
    for (split, count) in [("train", 8), ("test", 4)] {
        for film in 0..count {
            let class = ["still", "moving"][film % 2];
            let film = folder.join(split).join(class).join(film.to_string());
            fs::create_dir_all(&film).unwrap();
            for frame in 0..16 {
                let pixels = (0..256).map(|i| (i * (i + frame) % 251) as u8);
                let bytes = b"P5 16 16 255\n".iter().copied().chain(pixels).collect::<Vec<_>>();
                fs::write(film.join(format!("{frame}.pgm")), bytes).unwrap();
            }
        }
    }
    format!("clips:{}", folder.display())
}

/// Trains what the draft says in a folder of its own.
struct Train<'a> {
    draft: &'a Draft,
    out: &'a Path,
}

impl MethodVisitor for Train<'_> {
    type Output = ();

    fn visit<M: Method>(self) -> Result<()> {
        let (spec, options, statistics) = self.draft.images()?;
        let data = match statistics {
            Some(statistics) => spec.open_measured(&options, statistics, &mut |_| {})?,
            None => spec.open(&options, &mut |_| {})?,
        };
        let document: RunDocument<M> = self.draft.resolve(data.shape.channels)?;
        let run = document.run(data, self.out, &Device::flex())?;
        run.pretrain(&document.numbers).map(|_| ())
    }
}

/// Fails where a method cannot be what the draft says of images of one channel.
struct Resolve<'a>(&'a Draft);

impl MethodVisitor for Resolve<'_> {
    type Output = ();

    fn visit<M: Method>(self) -> Result<()> {
        self.0.resolve::<M>(1).map(drop)
    }
}

fn train(draft: &Draft, out: &Path) -> Value {
    let (name, variant) = draft.method::<BuiltIn>().unwrap();
    BuiltIn::visit(&name, &variant, Train { draft, out }).unwrap();
    let metrics = fs::read_to_string(out.join("metrics.json")).unwrap();
    serde_json::from_str(&metrics).unwrap()
}

/// Losses of all epochs and the checksum of the weights.
fn bits(metrics: &Value) -> (Vec<[&Value; 2]>, &Value) {
    let epochs = metrics["epochs"].as_array().unwrap();
    let losses = epochs.iter().map(|epoch| [&epoch["train_loss"], &epoch["valid_loss"]]);
    let sum = &metrics["weights_sha256"];
    assert_eq!(sum.as_str().unwrap().len(), 64);
    (losses.collect(), sum)
}

#[test]
fn the_document_that_a_run_leaves_repeats_it_to_the_bit_on_every_method() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(folder.path());
    let mut seen = Vec::<String>::new();
    for (name, variant) in BuiltIn::NAMES.iter().zip(BuiltIn::VARIANTS) {
        let mut draft = Draft::new();
        let side = if *name == "image_gpt" { 8 } else { 16 };
        for set in [
            format!("method={name}"),
            format!("variant='{variant}'"),
            format!("data={data}"),
            format!("image_size={side}"),
            "batch_size=4".into(),
            // More than TOML's whole numbers hold.
            format!("seed='{}'", u64::MAX),
            "recipe.epochs=1".into(),
            "recipe.warmup_epochs=0.5".into(),
            // A value that the preset of some methods has, and that is none here.
            "recipe.clip_norm=null".into(),
        ] {
            draft.set(&set).unwrap();
        }
        // Colors as tokens are fitted at once.
        let image = "{ channels = 1, height = 16, width = 16 }";
        let palette =
            format!("{{ tokenizer = 'palette', image = {image}, patch = 4, vocabulary = 64 }}");
        match *name {
            "beit" => draft.set(&format!("numbers.tokenizer={palette}")).unwrap(),
            "beit_v2" | "cae" => draft.set(&format!("numbers.beit.tokenizer={palette}")).unwrap(),
            // The run of the first method is a teacher of four cells.
            "eva" | "milan" => {
                draft.set("numbers.encoder.patch=8").unwrap();
                draft.set("numbers.mask={ strategy = 'mae', ratio = 0.5 }").unwrap();
                draft.knobs.teacher = Some(folder.path().join(&seen[0]).join("first"));
            }
            "videomae" => {
                draft.set(&format!("data={}", films(&folder.path().join("films")))).unwrap();
            }
            // Half of a network whose patches are as large as the image.
            "spark" if *variant == "resnet" => {
                let sizes = "depths = [1, 1], widths = [4, 8], bottleneck = false, stem = 4";
                draft.set(&format!("numbers.encoder={{ channels = 1, {sizes} }}")).unwrap();
                draft.set("numbers.patch=8").unwrap();
                draft.set("numbers.decoder.width=64").unwrap();
            }
            _ => {}
        }
        // As narrow and shallow as the method can be.
        for size in [(Some(32), Some(1)), (Some(32), Some(4)), (Some(24), None), (None, None)] {
            (draft.knobs.width, draft.knobs.depth) = size;
            if BuiltIn::visit(name, variant, Resolve(&draft)).is_ok() {
                break;
            }
        }
        let id = format!("{name}-{variant}");
        let [first, second] = ["first", "second"].map(|run| folder.path().join(&id).join(run));
        let metrics = train(&draft, &first);
        let again = train(&Draft::read(first.join("config.toml")).unwrap(), &second);
        assert_eq!(bits(&metrics), bits(&again), "{id}");
        let documents = [first, second].map(|run| fs::read(run.join("config.toml")).unwrap());
        assert_eq!(documents[0], documents[1], "{id}");
        seen.push(id);
    }
    assert!(seen.len() >= 11, "{seen:?}");
}

#[test]
fn a_number_of_steps_is_repeated_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut draft = Draft::new();
    for set in ["method=mae", "image_size=16", "batch_size=4", "budget={ steps = 3 }"] {
        draft.set(set).unwrap();
    }
    draft.set(&format!("data={}", images(folder.path()))).unwrap();
    let [first, second] = ["first", "second"].map(|run| folder.path().join(run));
    let metrics = train(&draft, &first);
    let left = Draft::read(first.join("config.toml")).unwrap();
    assert_eq!(left.get("budget.steps"), Some(&3.into()));
    assert_eq!(bits(&metrics), bits(&train(&left, &second)));
}

/// What is said of a document that begins with a right one and goes on with `text`.
fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    fs::write(&path, text).unwrap();
    let fault = Draft::read(&path).and_then(|draft| {
        draft.images()?;
        draft.method::<BuiltIn>()?;
        draft.resolve::<MaeConfig>(3)
    });
    let message = fault.unwrap_err().to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    let path: PathBuf = path;
    let file = path.display().to_string();
    assert!(message.contains(&file), "{message} names no {file}");
    message.replace(&file, "FILE")
}

#[test]
fn a_wrong_document_is_told_in_one_line_the_file_the_field_and_the_rule() {
    for (text, parts) in [
        // Misspelt.
        ("method = 'mae'\nsede = 3", &["sede", "did you mean `seed`?"][..]),
        ("method = 'mae'\n[recipe]\nepoch = 3", &["recipe", "`epoch`; did you mean `epochs`?"]),
        (
            "method = 'mae'\n[numbers.encoder]\nwitdh = 3",
            &["numbers.encoder", "`witdh`; did you mean `width`?"],
        ),
        ("preset = 'mae_smal_images'", &["preset", "did you mean `mae_small_images`?"]),
        ("method = 'mae'\ndata = 'fodler:photos'", &["data: ", "unknown data `fodler:photos`"]),
        ("method = 'mae'\n[numbers.mask]\nstrategy = 'blok'", &["numbers.mask", "`blok`"]),
        ("method = 'mae'\n[augmentation]\nflipp = true", &["augmentation", "did you mean `flip`?"]),
        // Of a wrong type.
        ("method = 'mae'\nseed = 'x'", &["seed", "a whole number from 0 to 18446744073709551615"]),
        ("method = 'mae'\nbatch_size = 'many'", &["batch_size", "expected usize"]),
        ("method = 'mae'\n[recipe]\nbase_lr = 'fast'", &["recipe.base_lr", "expected f64"]),
        ("method = 'mae'\nrecipe = 3", &["recipe", "invalid type: integer `3`"]),
        ("method = 3", &["method", "expected a text, got 3"]),
        ("method = 'mae'\n[recipe]\nbase_lr = inf", &["recipe.base_lr", "inf"]),
        // Out of range.
        ("method = 'mae'\nbatch_size = 0", &["batch_size", "must be from 1 to", "got 0"]),
        ("method = 'mae'\nworkers = -1", &["workers", "-1"]),
        ("method = 'mae'\n[recipe]\nepochs = 0", &["recipe", "epochs must be at least 1, got 0"]),
        ("method = 'mae'\n[numbers.mask]\nratio = 1.5", &["numbers", "1.5"]),
        ("method = 'mae'\nimage_size = [32]", &["image_size", "[height, width]"]),
        ("method = 'mae'\nimage_size = 30", &["numbers", "30"]),
        ("method = 'mae'\n[budget]\nminutes = -1", &["budget", "minutes must be above 0"]),
        (
            "method = 'mae'\n[data_options]\ntrain_images = 0",
            &["data_options", "at least 1, got 0"],
        ),
        // Contradicting.
        (
            "method = 'mae'\n[budget]\nsteps = 5\n[recipe]\nepochs = 3",
            &["budget", "contradicts recipe.epochs = 3"],
        ),
        (
            "method = 'mae'\nimage_size = 48\n[numbers.encoder.image]\nchannels = 3\nheight = 32\nwidth = 32",
            &["image_size", "48×48 contradicts", "32×32"],
        ),
        (
            "method = 'mae'\npreset = 'simmim_vit_small_images'",
            &["preset", "no preset `simmim_vit"],
        ),
        ("method = 'simmim'", &["method", "`simmim`, where a mae belongs"]),
        ("method = 'mae'\n[statistics]\nmean = [0.5]\nstd = [0.5]", &["statistics", "1", "3"]),
        ("method = 'mae'\npreset = 'none'", &["numbers", "missing field `encoder`"]),
        // Another version, and no document at all.
        ("format = 2\nmethod = 'mae'", &["format", "version 1, this one has 2"]),
        ("method = 'mae'\nmethod = 'mae'", &["line 2", "duplicate key"]),
        ("method = ", &["line 1"]),
        ("", &["no method is named"]),
    ] {
        let message = if text.is_empty() {
            Draft::new().method::<BuiltIn>().unwrap_err().to_string()
        } else {
            refused(text)
        };
        for part in parts {
            assert!(message.contains(part), "of\n{text}\n{message:?} lacks {part:?}");
        }
    }
}

#[test]
fn a_document_may_be_json_and_a_null_is_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let text = r#"{ "method": "simmim", "recipe": { "clip_norm": null }, "data": "idx:/a" }"#;
    fs::write(&path, text).unwrap();
    let draft = Draft::read(&path).unwrap();
    let simmim: RunDocument<burn_mim::SimMimConfig> = draft.resolve(1).unwrap();
    assert_eq!(simmim.recipe.clip_norm, None);
    assert_eq!(simmim.data, Some(DataSpec::Idx("/a".into())));
    fs::write(folder.path().join("run.toml"), "method = 'simmim'\nrecipe.clip_norm = 'null'")
        .unwrap();
    let draft = Draft::read(folder.path().join("run.toml")).unwrap();
    let simmim: RunDocument<burn_mim::SimMimConfig> = draft.resolve(1).unwrap();
    assert_eq!(simmim.recipe.clip_norm, None);
}
