//! What augmentations promise.

use super::*;
use crate::data::sample::Image;
use crate::rng::{Purpose, stream};

const PHOTO: ImageShape = ImageShape::new(3, 60, 80);

fn photo() -> Image {
    let values = (0..PHOTO.values()).map(|i| (i * i / 97 % 256) as u8).collect();
    Image::new(PHOTO, values).unwrap()
}

#[test]
fn the_presets_are_valid_and_survive_json() {
    let presets = [
        Augmentation::mae(),
        Augmentation::simmim(),
        Augmentation::beit(),
        Augmentation::maskfeat(),
        Augmentation::two_views(),
        Augmentation::colors(),
        Augmentation::cmae(),
        Augmentation::ijepa(),
        Augmentation::ibot(),
        Augmentation::lejepa(),
        Augmentation::videomae(),
        Augmentation::none(),
    ];
    for preset in presets {
        preset.validate().unwrap();
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Augmentation>(&json).unwrap(), preset, "{json}");
    }
}

#[test]
fn what_a_file_leaves_out_is_off_and_what_it_misspells_is_refused() {
    let json = r#"{ "crop": { "scale": [0.2, 1.0] }, "flip": true }"#;
    assert_eq!(serde_json::from_str::<Augmentation>(json).unwrap(), Augmentation::mae());
    assert_eq!(serde_json::from_str::<Augmentation>("{}").unwrap(), Augmentation::none());
    let message = serde_json::from_str::<Augmentation>(r#"{ "flips": true }"#).unwrap_err();
    assert!(message.to_string().contains("flips"));
}

#[test]
fn a_broken_part_is_refused() {
    let crop = Augmentation { crop: Some(CropRange::new([0.0, 1.0])), ..Augmentation::mae() };
    assert!(crop.validate().unwrap_err().to_string().contains("crop.scale"));
    let jitter = Some(JitterRange::uniform(f32::NAN));
    let jitter = Augmentation { jitter, ..Augmentation::mae() };
    assert!(jitter.validate().unwrap_err().to_string().contains("jitter.brightness"));
}

#[test]
fn a_probability_outside_its_range_is_refused_by_name() {
    let gray = Augmentation { gray: 1.5, ..Augmentation::none() };
    let message = gray.validate().unwrap_err().to_string();
    assert!(message.contains("augmentation.gray") && message.contains("1.5"), "{message}");
    let solarize = Augmentation { solarize: f64::NAN, ..Augmentation::none() };
    assert!(solarize.validate().unwrap_err().to_string().contains("augmentation.solarize"));
}

#[test]
fn gray_and_solarized_images_have_pillows_values() {
    // Pillow 13: `image.convert("L")` in all three channels, and `ImageOps.solarize(image, 128)`.
    let shape = ImageShape::new(3, 1, 4);
    let pixels = vec![0u8, 37, 200, 255, 91, 133, 175, 127, 255, 128, 64, 3];
    let image = Image::new(shape, pixels).unwrap();
    let shown = |augmentation: Augmentation| {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        let transform = augmentation.sample(shape, &mut rng);
        let mut out = vec![0; shape.values()];
        let view = View::new(shape).unwrap();
        view.render(&image, &transform, &mut Scratch::default(), &mut out).unwrap();
        out
    };
    let gray = Augmentation { gray: 1.0, ..Augmentation::none() };
    assert_eq!(shown(gray), [82, 104, 170, 151].repeat(3));
    let solarized = Augmentation { solarize: 1.0, ..Augmentation::none() };
    assert_eq!(shown(solarized), [0, 37, 55, 0, 91, 122, 80, 127, 0, 127, 64, 3]);
}

#[test]
fn as_many_images_become_gray_as_the_probability_says() {
    let mut rng = stream(3, Purpose::Augmentation, 0, 0);
    let mut gray = |augmentation: Augmentation| {
        let drawn = (0..1000).map(|_| augmentation.sample(PHOTO, &mut rng));
        drawn.filter(|transform| transform.operations[0].is_some()).count()
    };
    assert!((160..240).contains(&gray(Augmentation::two_views())));
    assert_eq!(gray(Augmentation::mae()), 0);
}

#[test]
fn half_of_the_images_are_flipped() {
    let mut rng = stream(3, Purpose::Augmentation, 0, 0);
    let mut flipped = |augmentation: Augmentation| {
        (0..1000).filter(|_| augmentation.sample(PHOTO, &mut rng).flipped).count()
    };
    assert!((450..550).contains(&flipped(Augmentation::mae())));
    assert_eq!(flipped(Augmentation::none()), 0);
}

#[test]
fn the_same_key_shows_the_same_pixels() {
    let view = View::new(ImageShape::square(3, 16)).unwrap();
    let mut scratch = Scratch::default();
    let mut show = |index| {
        let mut rng = stream(3, Purpose::Augmentation, 1, index);
        let transform = Augmentation::beit().sample(PHOTO, &mut rng);
        let mut out = vec![0; view.shape().values()];
        view.render(&photo(), &transform, &mut scratch, &mut out).unwrap();
        out
    };
    let first = show(0);
    assert_ne!(first, show(1));
    assert_eq!(first, show(0));
}

#[test]
fn two_views_of_one_transform_show_the_same_part() {
    let transform = Augmentation::mae().sample(PHOTO, &mut stream(3, Purpose::Augmentation, 0, 0));
    let mean = |side: usize| {
        let view = View::new(ImageShape::square(3, side)).unwrap();
        let mut out = vec![0; view.shape().values()];
        view.render(&photo(), &transform, &mut Scratch::default(), &mut out).unwrap();
        let plane = &out[..side * side];
        plane.iter().map(|value| f64::from(*value)).sum::<f64>() / plane.len() as f64
    };
    assert!((mean(48) - mean(24)).abs() < 2.0);
}

#[test]
fn a_crop_of_a_clip_begins_at_any_of_its_frames_and_an_image_draws_nothing_for_it() {
    let clip = ImageShape { frames: 3, ..PHOTO };
    let drawn = |augmentation: Augmentation, image| {
        augmentation.sample(image, &mut stream(3, Purpose::Augmentation, 0, 0))
    };
    let times = |augmentation: Augmentation| {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        (0..300).map(|_| augmentation.sample(clip, &mut rng).time).collect::<Vec<_>>()
    };
    for augmentation in [Augmentation::mae(), Augmentation::videomae()] {
        let mut times = times(augmentation);
        times.sort_by(f64::total_cmp);
        assert!(times[0] < 0.05 && times[299] > 0.95 && (0.4..0.6).contains(&times[150]));
        assert_eq!(drawn(augmentation, PHOTO).time, 0.5);
    }
    assert_eq!(times(Augmentation::none()), [0.5; 300]);
    // The crop is one of a frame's.
    let Frame::Crop(crop) = drawn(Augmentation::mae(), clip).frame else { panic!("no crop") };
    assert!(crop.fits(clip.frame()));
    let both = Augmentation { crop: Augmentation::mae().crop, ..Augmentation::videomae() };
    assert!(both.validate().unwrap_err().to_string().contains("two crops"));
}
