//! `docs/presets.md` is written from the code.

use std::path::Path;

use burn_mim::data::augment::{Augmentation, Interpolation};
use burn_mim::method::{BuiltIn, Methods, PresetEntry};
use burn_mim::train::{Decay, OptimizerKind, Recipe};

const HEAD: &str = "\
# Presets

Written from the code by `WRITE_DOCS=1 cargo test --test presets`. A preset is a method's numbers with recipe,
augmentation and batch. `Methods::preset` finds one by its name, and its numbers can be had for images of any shape.
What differs from the papers and their code is in [methods.md], under \"Presets\" and under each method.

Batch: images of one device × batches accumulated before a step. Rate: the peak after scaling. Epochs of
`_small_images` are as many as two cores do in about three minutes on the built-in data.
";

const COLUMNS: [&str; 9] =
    ["preset", "what it is", "side", "batch", "epochs", "rate", "recipe", "images are", "method"];

fn page() -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut page = format!("{HEAD}\n");
    page += &line(&COLUMNS.map(str::to_string));
    page += &line(&COLUMNS.map(|_| "---".to_string()));
    for preset in BuiltIn::presets() {
        page += &line(&cells(&preset));
    }
    page + "\n[methods.md]: methods.md\n"
}

fn cells(preset: &PresetEntry) -> [String; 9] {
    let PresetEntry { recipe, batch_size, variant, .. } = preset;
    let peak = recipe.base_lr * recipe.lr_scale(*batch_size);
    let on = if variant.is_empty() { String::new() } else { format!(" on `{variant}`") };
    [
        format!("`{}`", preset.name),
        preset.about.to_string(),
        preset.image.width.to_string(),
        format!("{batch_size} × {}", recipe.accumulation),
        recipe.epochs.to_string(),
        format!("{peak:.1e}"),
        described(recipe),
        shown(&preset.augmentation),
        format!("`{}`{on}", preset.method),
    ]
}

fn described(recipe: &Recipe) -> String {
    let falls = match &recipe.decay {
        Decay::MultiStep { epochs, factor } => format!("× {factor} at {epochs:?}"),
        _ => "cosine".to_string(),
    };
    let clip = recipe.clip_norm.map_or(String::new(), |norm| format!(", clip {norm}"));
    let [first, second] = recipe.betas;
    let (warmup, decay) = (recipe.warmup_epochs, recipe.weight_decay);
    let muon = match recipe.optimizer {
        OptimizerKind::Muon => format!("Muon × {}, ", recipe.muon_rate),
        _ => String::new(),
    };
    format!("{muon}warm-up {warmup}, {falls}, β {first}, {second}, decay {decay}{clip}")
}

fn shown(augmentation: &Augmentation) -> String {
    let crop = augmentation.crop.map(|crop| format!("cropped {:?}", crop.scale));
    let sides = augmentation.multi_scale.map(|crop| format!("cropped to {:?}", crop.sides));
    let jitter = augmentation.jitter.map(|_| "jittered".to_string());
    let flip = augmentation.flip.then(|| "mirrored".to_string());
    let filter = match augmentation.interpolation {
        Interpolation::Bicubic => "bicubic",
        Interpolation::Bilinear => "bilinear",
        _ => "lanczos",
    };
    let gray = (augmentation.gray > 0.0).then(|| "sometimes gray".to_string());
    let solarized = (augmentation.solarize > 0.0).then(|| "sometimes solarized".to_string());
    let parts = [crop, sides, flip, jitter, gray, solarized, Some(filter.into())];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[test]
fn the_page_of_presets_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/presets.md");
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "write docs/presets.md anew by `WRITE_DOCS=1 cargo test --test presets`"
    );
}
