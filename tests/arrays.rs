//! Arrays in memory of any depth and number of channels, and samples that are no images, go through
//! the calls that photos go through.

mod common;

use std::num::NonZero;
use std::sync::Arc;

use burn::data::dataset::{Dataset, InMemDataset};
use burn::tensor::{Device, Tensor, TensorData};
use burn_mim::data::augment::{
    Augmentation, CropBox, CropRange, Frame, JitterRange, Normalization, Scratch, Transform, View,
};
use burn_mim::data::source::MemoryDataset;
use burn_mim::data::{
    ChannelStatistics, Collate, DataOptions, DataSpec, Image, ImageData, ImageDataset, Item,
    Loader, LoaderConfig, Pixels,
};
use burn_mim::encoder::VitBody;
use burn_mim::eval::{Features, FineTuning, LabelledBatch, Pooling};
use burn_mim::method::BuiltIn;
use burn_mim::nn::InitialWeights;
use burn_mim::run::{BackboneSource, Evaluation, Plan, Protocol, Run};
use burn_mim::{ImageShape, Result};
use common::{device, encoder, mae, recipe};

/// As satellites have it.
const BANDS: ImageShape = ImageShape::square(12, 16);

/// `count` images of two classes that differ in their bands, whose values `of` makes of 0 to 1.
fn bands<T>(count: usize, of: impl Fn(f32) -> T) -> Arc<dyn ImageDataset>
where
    Pixels: From<Vec<T>>,
{
    let area = BANDS.height * BANDS.width;
    let value = |at: usize| {
        let (sample, band, place) = (at / BANDS.values(), at / area % 12, at % area);
        let bright = if (band + sample).is_multiple_of(2) { 0.6 } else { 0.3 };
        bright + ((sample * 31 + band * 7 + place * 13) % 97) as f32 / 970.0
    };
    let pixels = (0..count * BANDS.values()).map(|at| of(value(at))).collect();
    let labels = (0..count).map(|sample| sample % 2).collect();
    Arc::new(MemoryDataset::new(BANDS, pixels, Some(labels)).unwrap())
}

/// Pre-trains on augmented images, loads the encoder, and yields its k-NN accuracy in percent.
fn pre_trained_and_probed<T>(of: impl Fn(f32) -> T + Copy) -> f64
where
    Pixels: From<Vec<T>>,
{
    let names = ["even", "odd"].map(String::from).to_vec();
    let data = ImageData::new(bands(40, of), bands(12, of), names).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut run = Run::new(data.clone(), &out, &device());
    (run.batch_size, run.workers, run.probe) = (8, 2, 1);
    run.recipe = Some(recipe(1).with_ema(None));
    let trained = run.pretrain(&mae(BANDS)).unwrap();
    assert!(trained.history.epochs[0].valid_metrics.contains_key("knn_top1"));
    let source: BackboneSource = out.display().to_string().parse().unwrap();
    let loaded = source.load::<BuiltIn, VitBody>(None, &encoder(BANDS), 3, &device()).unwrap();
    let evaluation = Evaluation::new(&loaded, &data, &device());
    let tuning = FineTuning::small_images(1);
    let plan = Plan { protocol: Protocol::Knn, baselines: false, tuning, out: out.join("scores") };
    let scores = evaluation.run(&plan, &mut |_| ()).unwrap();
    let card = evaluation.score_card(&scores, "bands").unwrap();
    assert!(card.to_html().unwrap().contains("tested on 12"));
    scores.given[0].results[0].top1
}

#[test]
fn twelve_bands_of_16_bits_are_pre_trained_on_and_probed_by_the_calls_for_photos() {
    assert_eq!(pre_trained_and_probed(|value| (value * 65535.0) as u16), 100.0);
    assert_eq!(pre_trained_and_probed(|value| value), 100.0);
    assert_eq!(pre_trained_and_probed(|value| (value * 255.0) as u8), 100.0);
}

#[test]
fn statistics_are_of_values_from_black_to_white_whatever_the_depth() {
    let shape = ImageShape::new(2, 1, 2);
    // The means of 0 and 1, and of 0.2 and 0.6; deviations 0.5 and 0.2.
    let check = |data: &dyn Dataset<burn_mim::data::Sample>| {
        let ChannelStatistics { mean, std } = ChannelStatistics::of(data, 9).unwrap();
        for (got, expected) in [(mean, [0.5, 0.4]), (std, [0.5, 0.2])] {
            got.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
        }
    };
    check(&MemoryDataset::new(shape, vec![0_u8, 255, 51, 153], None).unwrap());
    check(&MemoryDataset::new(shape, vec![0_u16, 65535, 13107, 39321], None).unwrap());
    check(&MemoryDataset::new(shape, vec![0.0_f32, 1.0, 0.2, 0.6], None).unwrap());
    let twelve_bits = MemoryDataset::new(shape, vec![0_u16, 4095, 819, 2457], None).unwrap();
    check(&twelve_bits.with_white(NonZero::new(4095).unwrap()));
}

/// What a network reads of the right two columns of `image`, mirrored.
fn read(image: &Image) -> Vec<f32> {
    let statistics = ChannelStatistics { mean: vec![0.2], std: vec![0.5] };
    let view = View::new(ImageShape::new(1, 1, 2)).unwrap();
    let frame = Frame::Crop(CropBox { top: 0, left: 1, height: 1, width: 2 });
    let transform = Transform { flipped: true, ..Transform::of(frame) };
    let normalization = Normalization::new(&statistics).unwrap();
    let mut out = [0.0; 2];
    view.write(image, &transform, &normalization, &mut Scratch::default(), &mut out).unwrap();
    out.to_vec()
}

#[test]
fn crop_flip_and_normalization_give_the_values_computed_by_hand() {
    let shape = ImageShape::new(1, 1, 3);
    // The last two of 0, 0.2, 1 the other way round: (1 - 0.2) / 0.5 and 0.
    let expected = vec![(1.0_f32 - 0.2) / 0.5, 0.0];
    assert_eq!(read(&Image::new(shape, vec![0_u8, 51, 255]).unwrap()), expected);
    assert_eq!(read(&Image::new(shape, vec![0_u16, 13107, 65535]).unwrap()), expected);
    assert_eq!(read(&Image::new(shape, vec![0.0_f32, 0.2, 1.0]).unwrap()), expected);
    // No level of 16 bits is lost: two values that 8 bits cannot tell apart.
    let fine = read(&Image::new(shape, vec![0_u16, 30000, 30001]).unwrap());
    assert!((fine[0] - fine[1] - 1.0 / 65535.0 / 0.5).abs() < 1e-6, "{fine:?}");
    // Resized by a tent, sources half a pixel from the middle weigh 3/4 and others 1/4; the first
    // output is of (3 + 3 + 1) / 4.
    let view = View::new(ImageShape::new(1, 1, 3)).unwrap();
    let view = view.with_interpolation(burn_mim::data::augment::Interpolation::Bilinear);
    let image = Image::new(ImageShape::new(1, 1, 6), vec![0_u16, 0, 21845, 0, 0, 0]).unwrap();
    let whole = Transform::of(Frame::Crop(CropBox::whole(image.shape())));
    let small = view.image(&image, &whole, &mut Scratch::default()).unwrap().values();
    for (got, expected) in small.iter().zip([1.0 / 3.0 / 7.0, 1.0 / 8.0, 0.0]) {
        assert!((got - expected).abs() < 1e-6, "{small:?}");
    }
}

#[test]
fn colors_of_16_bits_change_without_being_narrowed_and_what_needs_8_bits_is_refused() {
    let jitter = Some(JitterRange { brightness: 0.0, contrast: 0.0, saturation: 0.5 });
    let jittered = Augmentation { jitter, gray: 1.0, ..Augmentation::none() };
    let augmentation =
        Augmentation { solarize: 1.0, crop: Some(CropRange::new([0.5, 1.0])), ..jittered };
    let image = Image::new(ImageShape::square(3, 4), vec![7_u16; 48]).unwrap();
    let gray = {
        let mut rng = burn_mim::rng::stream(0, burn_mim::rng::Purpose::Augmentation, 0, 0);
        let transform = jittered.sample(image.shape(), &mut rng);
        let view = View::new(image.shape()).unwrap();
        view.image(&image, &transform, &mut Scratch::default()).unwrap().values()
    };
    assert!(gray.iter().all(|value| (value - 7.0 / 65535.0).abs() < 1e-8), "{gray:?}");
    let mut rng = burn_mim::rng::stream(0, burn_mim::rng::Purpose::Augmentation, 0, 0);
    let transform = augmentation.sample(image.shape(), &mut rng);
    let view = View::new(image.shape()).unwrap();
    let error = view.image(&image, &transform, &mut Scratch::default()).unwrap_err().to_string();
    assert!(error.contains("8-bit images, got one of 16-bit values; leave them out"), "{error}");
    let error = image.bytes().unwrap_err().to_string();
    assert!(error.contains("got one of 16-bit values"), "{error}");
}

/// An array of NumPy, `[height, width]`, of numbers of two or four bytes.
fn npy(kind: &str, [height, width]: [usize; 2], data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({height}, {width}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn files_keep_their_depth_until_8_bits_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let deep = [0_u16, 1000, 3000, 4095].map(u16::to_le_bytes).concat();
    let png = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 2, vec![4095_u16, 0, 1, 2]);
    png.unwrap().save(folder.path().join("a.png")).unwrap();
    std::fs::write(folder.path().join("b.npy"), npy("<u2", [2, 2], &deep)).unwrap();
    let floats = [0.0_f32, 0.25, 0.5, 1.0].map(f32::to_le_bytes).concat();
    std::fs::write(folder.path().join("c.npy"), npy("<f4", [2, 2], &floats)).unwrap();
    let open = |options: DataOptions| {
        let spec: DataSpec = format!("folder:{}", folder.path().display()).parse().unwrap();
        spec.open(&options, &mut |_| {}).unwrap()
    };
    let images = |data: &ImageData| -> Vec<Image> {
        let splits = [&data.train, &data.test].into_iter();
        let mut named: Vec<_> = splits
            .flat_map(|split| {
                (0..split.len()).map(|i| (split.name(i), split.get(i).unwrap().image))
            })
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named.into_iter().map(|(_, image)| image).collect()
    };
    let own = images(&open(DataOptions::default()));
    assert_eq!(*own[0].pixels(), Pixels::U16(vec![4095, 0, 1, 2]));
    assert_eq!(*own[1].pixels(), Pixels::U16(vec![0, 1000, 3000, 4095]));
    assert_eq!(*own[2].pixels(), Pixels::F32(vec![0.0, 0.25, 0.5, 1.0]));
    let white = DataOptions::default().with_white(NonZero::new(4095));
    let bright = open(white.clone());
    assert_eq!(images(&bright)[1].values()[3], 1.0);
    // Statistics are of the values as they are read.
    let all: Vec<f32> = images(&bright).iter().flat_map(Image::values).collect();
    let seen = (0..bright.train.len()).flat_map(|i| bright.train.get(i).unwrap().image.values());
    let seen: Vec<f32> = seen.collect();
    let mean = seen.iter().sum::<f32>() / seen.len() as f32;
    assert!((bright.statistics.mean[0] - mean).abs() < 1e-6 && all.len() == 12);
    let narrow = images(&open(white.with_eight_bits(true)));
    assert_eq!(*narrow[1].pixels(), Pixels::U8(vec![0, 62, 187, 255]));
    assert_eq!(*narrow[2].pixels(), Pixels::U8(vec![0, 64, 128, 255]));
}

/// Pairs of images and a class: a sample of one's own.
#[derive(Debug)]
struct Pairs(ImageShape);

impl Collate for Pairs {
    type Sample = ([Image; 2], usize);
    type Batch = LabelledBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<Self::Sample>>>,
        device: &Device,
    ) -> Result<LabelledBatch> {
        let ImageShape { channels, height, width, .. } = self.0;
        let (shape, mut values) = ([items.len(), channels, height, width], Vec::new());
        let mut labels = Vec::new();
        for item in items {
            let ([first, second], label) = item?.sample;
            values.extend(first.values().iter().zip(second.values()).map(|(a, b)| a - b));
            labels.push(label);
        }
        let images = Tensor::from_data(TensorData::new(values, shape), device);
        LabelledBatch::new(images, labels, 2)
    }
}

#[test]
fn samples_of_ones_own_are_loaded_and_have_features() {
    let shape = ImageShape::square(1, 8);
    let pair = |at: usize| {
        let image = |level: f32| Image::new(shape, vec![level; 64]).unwrap();
        ([image(at as f32), image(at as f32 / 2.0)], at % 2)
    };
    let pairs = Arc::new(InMemDataset::new((0..5).map(pair).collect()));
    let config = LoaderConfig { batch_size: 2, seed: 0, workers: 2, training: false };
    let loader = Loader::new(pairs, Pairs(shape), config, &device()).unwrap();
    let first = loader.epoch(0, 1).next().unwrap().unwrap();
    let values: Vec<f32> = first.images.into_data().try_to_vec().unwrap();
    assert_eq!((values[0], values[64]), (1.0, 1.5));
    let vit = encoder(shape).init_visible(&mut InitialWeights::new(0, &device()));
    let features = Features::extract(&vit, &loader, Pooling::Mean).unwrap();
    assert_eq!((features.len(), features.labels), (5, vec![0, 1, 0, 1, 0]));
}
