//! The score card in a browser: readable without scripts and files, in any width.
//!
//! Without Chromium these tests say so and pass, unless `BURN_MIM_NEEDS_CHROMIUM` is set.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::{Device, Tensor};
use burn_mim::eval::{LabelledPicture, NeighborRow, Score, ScoreCard, TestResult};
use burn_mim::train::{EpochMetrics, History};
use burn_mim::viz::Picture;

/// Names that a browser's executable has.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&folders);
    let found = paths.flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|p| p.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("BURN_MIM_NEEDS_CHROMIUM").is_none(),
            "BURN_MIM_NEEDS_CHROMIUM is set, but there is no Chromium in the PATH"
        );
        // To the stream itself: what a passing test prints is captured and not shown.
        let skipped = b"skipped a test of the score card: there is no Chromium in the PATH\n";
        std::io::stderr().write_all(skipped).unwrap();
    }
    found
}

/// What the browser prints when it opens `page` as `arguments` tell.
fn open(chromium: &Path, page: &Path, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn score(protocol: &str, setting: &str, scores: [[f32; 3]; 4], seeds: usize) -> Score {
    let scores = Tensor::<2>::from_floats(scores, &Device::flex());
    let result = TestResult::new(scores, &[0, 1, 2, 1]);
    Score {
        protocol: protocol.into(),
        setting: setting.into(),
        encoder: "MAE".into(),
        measure: Score::TOP1.into(),
        values: vec![result.top1; seeds],
        results: vec![result; seeds],
        train_images: 3000,
        test_images: 4,
        seconds: 1.25,
    }
}

fn epoch(epoch: usize) -> EpochMetrics {
    EpochMetrics {
        epoch,
        train_loss: 1.0 / epoch as f64,
        valid_loss: 0.9 / epoch as f64,
        valid_metrics: Default::default(),
        collapsed: Vec::new(),
        learning_rate: 1e-3,
        images_per_second: 100.0,
        seconds: 1.0,
    }
}

fn card() -> ScoreCard {
    let right = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
    let wrong = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    let picture =
        |label| LabelledPicture { picture: Picture::filled(8, 8, [label as u8 * 80; 3]), label };
    ScoreCard {
        encoder: "MAE <ViT 128×6> & friends".into(),
        data: "shapes: 3000 labelled images, tested on 4".into(),
        scores: vec![
            score("linear", "logistic regression, C = 1", right, 2),
            score("knn", "k = 20", wrong, 1),
        ],
        baselines: vec![score("linear", "logistic regression, C = 1", wrong, 2)],
        class_names: ["circle", "a very long name of a class", "square"].map(String::from).to_vec(),
        history: Some(History {
            trivial_loss: Some(1.1),
            epochs: (1..=5).map(epoch).collect(),
            ..History::default()
        }),
        reconstructions: Some(Picture::filled(900, 300, [200; 3]).to_png().unwrap()),
        neighbors: vec![NeighborRow {
            query: picture(1),
            found: (0..7).map(|i| (picture(i % 3), 0.9 - i as f32 * 0.05)).collect(),
        }],
        config: Some(serde_json::json!({ "seed": 0, "task": { "method": "mae" } })),
    }
}

#[test]
fn the_card_needs_no_script_and_no_other_file() {
    let html = card().to_html().unwrap();
    for outside in ["<script", "http:", "https:", "<link", "@import", "src=\"/"] {
        assert!(!html.contains(outside), "{outside}");
    }
    for part in
        ["Protocols", "Learning curves", "Confusion", "Reconstructions", "Nearest neighbors"]
    {
        assert!(html.contains(&format!("<h2>{part}</h2>")), "{part}");
    }
    assert!(html.contains("MAE &lt;ViT 128×6&gt; &amp; friends"));
    assert!(html.contains("100.00 ± 0.00") && html.contains("+50.00"));
}

#[test]
fn gains_are_over_the_best_baseline_of_the_protocol_whatever_its_setting() {
    let of = |protocol: &str, setting: &str, encoder: &str, right: usize| {
        let row = |at: usize| {
            if at < right {
                [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.], [0., 1., 0.]][at]
            } else {
                [0.0; 3]
            }
        };
        let scores = [0, 1, 2, 3].map(row);
        Score { encoder: encoder.into(), ..score(protocol, setting, scores, 1) }
    };
    let card = ScoreCard {
        scores: vec![of("knn", "k = 20", "MAE", 3), of("linear", "C = 1", "MAE", 4)],
        baselines: vec![
            of("knn", "k = 20", "random weights", 2),
            of("linear", "C = 1", "random weights", 1),
            of("knn", "k = 5", "raw pixels", 4),
            of("knn", "k = 20", "raw pixels", 1),
        ],
        ..card()
    };
    let markdown = card.to_markdown();
    assert!(markdown.contains("| top-1 % | random weights | raw pixels | gain |"), "{markdown}");
    let row = "| k-NN | k = 20 | 75.00 | 50.00 | 25.00 | −25.00 | raw pixels, k = 5 |";
    assert!(markdown.contains(row), "{markdown}");
    let html = card.to_html().unwrap();
    assert!(html.contains("−25.00 against raw pixels, k = 5</div>"));
    assert!(html.contains("over random weights, C = 1</div>"));
}

#[test]
fn what_is_not_known_has_no_section() {
    let card = ScoreCard {
        history: None,
        reconstructions: None,
        neighbors: Vec::new(),
        config: None,
        baselines: Vec::new(),
        ..card()
    };
    let html = card.to_html().unwrap();
    for part in ["Learning curves", "Reconstructions", "Nearest neighbors", "Configuration"] {
        assert!(!html.contains(&format!("<h2>{part}</h2>")), "{part}");
    }
    let markdown = card.to_markdown();
    assert!(
        markdown.contains("| Linear probe | logistic regression, C = 1 | 100.00 ± 0.00 |  |  |")
    );
    assert!(!markdown.contains("Pre-training"));
}

#[test]
fn the_markdown_says_what_each_class_is_taken_for() {
    let markdown = ScoreCard { scores: card().scores.split_off(1), ..card() }.to_markdown();
    assert!(markdown.contains("| circle | 100.0 |  |"), "{markdown}");
    assert!(markdown.contains("| square | 0.0 | circle (1) |"), "{markdown}");
    assert!(markdown.contains("\"method\": \"mae\""), "{markdown}");
}

#[test]
fn a_browser_shows_all_of_it() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    card().save(folder.path()).unwrap();
    let page = folder.path().join("score_card.html");
    let dom = open(&chromium, &page, &["--dump-dom"]);
    assert!(dom.contains("<title>Score card: MAE &lt;ViT 128×6&gt; &amp; friends</title>"));
    assert_eq!(dom.matches("<section>").count(), 6);
    assert_eq!(dom.matches("data:image/png;base64,").count(), 9);
    assert!(dom.trim_end().ends_with("</html>"));
    let picture = folder.path().join("card.png");
    let arguments = [&format!("--screenshot={}", picture.display()), "--window-size=1100,1400"];
    open(&chromium, &page, &arguments);
    assert!(fs::metadata(picture).unwrap().len() > 20_000);
}

#[test]
fn nothing_is_wider_than_its_window_and_every_image_loads() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("measured.html");
    // The card has no scripts; this copy measures itself.
    let script = "<script>document.body.dataset.measured = [\
                  document.documentElement.scrollWidth <= innerWidth, \
                  [...document.images].every(image => image.complete && image.naturalWidth > 0)\
                  ].join()</script></main>";
    fs::write(&page, card().to_html().unwrap().replace("</main>", script)).unwrap();
    for width in [500, 800, 1600] {
        let size = format!("--window-size={width},900");
        let dom = open(&chromium, &page, &["--dump-dom", &size]);
        assert!(dom.contains("data-measured=\"true,true\""), "{width} pixels");
    }
}
