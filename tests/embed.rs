//! Features of any images on disk: the same as in memory, in order, whole or not there at all.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use burn_mim::checkpoint::{save_mae, save_preprocessor};
use burn_mim::data::source::{ImageList, read_image};
use burn_mim::data::{ChannelStatistics, ImageDataset, OnBadImage};
use burn_mim::encoder::VitBody;
use burn_mim::method::BuiltIn;
use burn_mim::run::{
    BackboneSource, Embed, EmbedOptions, Embedded, FeatureFormat, Joined, Kept, LoadedBackbone,
};
use burn_mim::train::Interrupt;
use burn_mim::{Backbone, Error, Result, Swin};
use image::{ImageBuffer, Rgb};
use safetensors::SafeTensors;

use common::{IMAGE, device, encoder, mae, swin, waves, weights};

fn statistics() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.5, 0.4, 0.3], std: vec![0.25, 0.2, 0.3] }
}

/// A transformers folder of a ViTMAE with its normalization.
fn published(folder: &Path) -> LoadedBackbone<VitBody> {
    let config = mae(IMAGE);
    save_mae(folder, &config.init(&mut weights(3)), &config).unwrap();
    save_preprocessor(folder, IMAGE, &statistics()).unwrap();
    let source = BackboneSource::Folder(folder.into());
    source.load::<BuiltIn, _>(None, &encoder(IMAGE), 0, &device()).unwrap()
}

/// Seven images of the encoder's size in folders, whose pixels differ.
fn photos(folder: &Path) {
    for (index, name) in ["b/1", "b/0", "a", "c/d/2", "c/d/10", "e", "f"].iter().enumerate() {
        let path = folder.join(format!("{name}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel = |x: u32, y: u32| {
            Rgb([x as u8 * 9, y as u8 * 11, (x * y) as u8].map(|value| value ^ (index as u8 * 37)))
        };
        ImageBuffer::from_fn(16, 16, pixel).save(path).unwrap();
    }
}

const NAMES: [&str; 7] =
    ["a.png", "b/0.png", "b/1.png", "c/d/10.png", "c/d/2.png", "e.png", "f.png"];

fn listed(folder: &Path, on_bad_image: OnBadImage) -> Arc<dyn ImageDataset> {
    Arc::new(ImageList::of(folder, on_bad_image).unwrap())
}

fn run<B: Backbone + Clone>(
    embed: &Embed,
    encoder: &LoadedBackbone<B>,
    images: &Arc<dyn ImageDataset>,
    out: &Path,
    interrupt: &Interrupt,
) -> Result<Embedded> {
    let options = EmbedOptions {
        device: &device(),
        statistics: None,
        class_names: &[],
        interrupt,
        told: &|_| {},
    };
    embed.run(encoder, images, out, options)
}

fn features(folder: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(folder.join("features.safetensors")).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let features = read.tensor("features").unwrap();
    let values = features.data().chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap()));
    (features.shape().to_vec(), values.collect())
}

/// The images as transformers' processor makes them: they have the model's size already.
fn by_hand(folder: &Path, names: &[&str]) -> Tensor<4> {
    let ChannelStatistics { mean, std } = statistics();
    let values: Vec<f32> = names
        .iter()
        .flat_map(|name| {
            let values = read_image(&folder.join(name)).unwrap().values();
            let plane = IMAGE.height * IMAGE.width;
            let normal = |(at, value): (usize, &f32)| (value - mean[at / plane]) / std[at / plane];
            values.iter().enumerate().map(normal).collect::<Vec<_>>()
        })
        .collect();
    let shape = [names.len(), 3, IMAGE.height, IMAGE.width];
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn embed() -> Embed {
    Embed::new().with_format(FeatureFormat::Safetensors).with_batch_size(3)
}

#[test]
fn features_are_those_of_the_encoder_in_the_order_of_the_names() {
    let folder = tempfile::tempdir().unwrap();
    let (photos, out) = (folder.path().join("photos"), folder.path().join("features"));
    self::photos(&photos);
    let encoder = published(&folder.path().join("model"));
    let images = listed(&photos, OnBadImage::Error);
    let done = run(&embed(), &encoder, &images, &out, &Interrupt::default()).unwrap();
    assert_eq!((done.shape, done.skipped.len()), (vec![7, 16], 0));
    let names: Vec<String> =
        serde_json::from_slice(&fs::read(out.join("names.json")).unwrap()).unwrap();
    assert_eq!(names, NAMES);
    let (shape, values) = features(&out);
    assert_eq!(shape, [7, 16]);
    // In the same batches, to the bit.
    let batches = encoder.images(&images, None, OnBadImage::Error, [3, 0], &device()).unwrap();
    let same: Vec<f32> = (&batches)
        .into_iter()
        .flat_map(|batch| {
            let features = encoder.backbone.represent(batch.unwrap().images.unwrap()).mean_pool();
            features.into_data().iter::<f32>().collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(values, same);
    let expected: Vec<f32> = NAMES
        .chunks(3)
        .flat_map(|names| {
            let features = encoder.backbone.represent(by_hand(&photos, names)).mean_pool();
            features.into_data().iter::<f32>().collect::<Vec<_>>()
        })
        .collect();
    let largest = expected.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-5, "{largest}");
    assert!(!out.join("labels.npy").exists());
}

#[test]
fn every_choice_has_its_shape_and_the_layers_are_those_of_the_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = published(&folder.path().join("model"));
    let images: Arc<dyn ImageDataset> = waves(IMAGE, 5);
    let shape = |name: &str, embed: Embed| {
        let out = folder.path().join(name);
        let done = run(&embed, &encoder, &images, &out, &Interrupt::default()).unwrap();
        assert_eq!(features(&out).0, done.shape);
        done.shape
    };
    let layers = || embed().with_layers(vec![2, 0]);
    assert_eq!(shape("cells", embed().with_kept(Kept::Cells)), [5, 16, 16]);
    assert_eq!(shape("token", embed().with_kept(Kept::ClassToken)), [5, 16]);
    assert_eq!(shape("joined", layers()), [5, 32]);
    assert_eq!(shape("stacked", layers().with_joined(Joined::Stacked)), [5, 2, 16]);
    let cells = || layers().with_kept(Kept::Cells);
    assert_eq!(shape("cells joined", cells()), [5, 16, 32]);
    assert_eq!(shape("cells stacked", cells().with_joined(Joined::Stacked)), [5, 2, 16, 16]);
    // Joined, each row has the first layer's features and then the second's.
    let (_, joined) = features(&folder.path().join("joined"));
    let (_, stacked) = features(&folder.path().join("stacked"));
    assert_eq!(joined, stacked);
    // Labels are kept where there are any.
    let bytes = fs::read(folder.path().join("joined/features.safetensors")).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let first = &read.tensor("labels").unwrap().data()[..16];
    assert_eq!(first, [0i64.to_le_bytes(), 1i64.to_le_bytes()].concat());
}

#[test]
fn a_bad_image_is_named_or_left_out_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    self::photos(&photos);
    fs::write(photos.join("b/1.png"), b"no image").unwrap();
    let encoder = published(&folder.path().join("model"));
    let images = listed(&photos, OnBadImage::Error);
    let out = folder.path().join("out");
    let error = run(&embed(), &encoder, &images, &out, &Interrupt::default()).unwrap_err();
    assert!(error.to_string().contains("b/1.png: cannot be read as an image"), "{error}");
    // Nothing is left, not even a part.
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let skip = embed().with_on_bad_image(OnBadImage::Skip).with_batch_size(1);
    let done = run(&skip, &encoder, &images, &out, &Interrupt::default()).unwrap();
    assert_eq!((done.shape[0], done.skipped.len()), (6, 1));
    let names = fs::read_to_string(out.join("names.json")).unwrap();
    assert!(!names.contains("b/1.png") && names.contains("b/0.png"));
    let about = fs::read_to_string(out.join("about.json")).unwrap();
    assert!(about.contains("b/1.png"), "{about}");
}

#[test]
fn what_is_stopped_leaves_nothing_and_what_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = published(&folder.path().join("model"));
    let images: Arc<dyn ImageDataset> = waves(IMAGE, 5);
    let (stopped, out) = (Interrupt::default(), folder.path().join("out"));
    stopped.request();
    let error = run(&embed(), &encoder, &images, &out, &stopped);
    assert!(matches!(error, Err(Error::Interrupted)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    run(&embed(), &encoder, &images, &out, &Interrupt::default()).unwrap();
    let error = run(&embed(), &encoder, &images, &out, &Interrupt::default()).unwrap_err();
    assert!(error.to_string().contains("holds something already"), "{error}");
}

#[test]
fn what_an_encoder_cannot_give_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let images: Arc<dyn ImageDataset> = waves(IMAGE, 5);
    let message = |encoder: &dyn Fn(&Embed) -> Result<Embedded>, embed: Embed| {
        encoder(&embed).unwrap_err().to_string()
    };
    let vit = published(&folder.path().join("model"));
    let out = folder.path().join("out");
    let of_vit = |embed: &Embed| run(embed, &vit, &images, &out, &Interrupt::default());
    let said = message(&of_vit, embed().with_layers(vec![3]));
    assert!(said.contains("has the layers 0 to 2, and layer 3 is asked for"), "{said}");
    let config = swin(IMAGE);
    let new = burn_mim::EncoderConfig::init(
        &config,
        &mut burn_mim::nn::InitialWeights::new(0, &device()),
    );
    let mut swin: LoadedBackbone<Swin> =
        LoadedBackbone::new(new, IMAGE, "Swin", |_| Err(Error::config("one way")));
    let of_swin = |swin: &LoadedBackbone<Swin>, embed: &Embed| {
        run(embed, swin, &images, &out, &Interrupt::default()).unwrap_err().to_string()
    };
    assert!(of_swin(&swin, &embed()).contains("give a mean and a standard deviation"));
    swin.statistics = Some(statistics());
    assert!(of_swin(&swin, &embed().with_kept(Kept::ClassToken)).contains("has no class token"));
    let cells = embed().with_kept(Kept::Cells).with_layers(vec![1, 3]);
    let said = of_swin(&swin, &cells);
    assert!(said.contains("[64, 8] and [16, 16] an image"), "{said}");
    let means = embed().with_layers(vec![1, 3]);
    let done = run(&means, &swin, &images, &out, &Interrupt::default()).unwrap();
    assert_eq!(done.shape, [5, 24]);
}
