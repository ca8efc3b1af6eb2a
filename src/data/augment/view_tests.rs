use super::*;
use crate::data::augment::Adjustment;

const CROP: Frame = Frame::Crop(CropBox { top: 1, left: 2, height: 8, width: 9 });

fn plane(height: usize, width: usize) -> Vec<u8> {
    let value = |y: usize, x: usize| ((x * 37 + y * 91 + x * y * 5) % 256) as u8;
    (0..height * width).map(|i| value(i / width, i % width)).collect()
}

fn image(channels: usize, height: usize, width: usize) -> Image {
    let pixels = plane(height, width).repeat(channels);
    Image::new(ImageShape::new(channels, height, width), pixels).unwrap()
}

fn show(image: &Image, view: View, transform: &Transform) -> Result<Vec<u8>> {
    let mut out = vec![0; view.shape().values()];
    view.render(image, transform, &mut Scratch::default(), &mut out)?;
    Ok(out)
}

fn assert_within_one_level(got: &[u8], pillow: &[u8]) {
    assert_eq!(got.len(), pillow.len());
    let worst = got.iter().zip(pillow).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "{got:?}\n{pillow:?}");
}

// The expected values of the next three tests are Pillow 13's, of the same image:
// `image.crop((2, 1, 11, 9)).resize((cols, rows), filter)`.

#[test]
fn a_crop_made_smaller_matches_pillow_bicubic() {
    let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
    let got = show(&image(1, 11, 13), view, &Transform::of(CROP)).unwrap();
    #[rustfmt::skip]
    let pillow = [
        131, 85, 99, 164, 137, 197, 110, 148, 98, 166, 141, 108, 126, 120, 166, 158,
        149, 138, 134, 140, 146, 158, 122, 125, 100, 103, 126, 164, 107, 132,
    ];
    assert_within_one_level(&got, &pillow);
}

#[test]
fn a_crop_made_larger_matches_pillow_bicubic() {
    let view = View::new(ImageShape::new(1, 10, 11)).unwrap();
    let got = show(&image(1, 11, 13), view, &Transform::of(CROP)).unwrap();
    #[rustfmt::skip]
    let pillow = [
        180, 229, 97, 0, 48, 82, 115, 158, 196, 231, 255, 54, 92, 85, 92, 148, 184,
        227, 123, 78, 136, 183, 52, 99, 167, 157, 92, 141, 185, 136, 133, 141, 63,
        160, 140, 178, 142, 35, 99, 146, 149, 182, 171, 51, 223, 67, 41, 107, 158,
        190, 250, 117, 66, 130, 165, 72, 101, 156, 223, 230, 63, 110, 159, 221, 198,
        46, 145, 214, 142, 90, 149, 154, 219, 126, 113, 173, 160, 87, 147, 127, 123,
        167, 113, 175, 152, 81, 65, 138, 27, 84, 114, 156, 184, 69, 130, 169, 103,
        44, 111, 115, 189, 89, 14, 98, 171, 251, 118, 81, 173, 227,
    ];
    assert_within_one_level(&got, &pillow);
}

#[test]
fn the_other_filters_match_pillow_too() {
    let view = View::new(ImageShape::new(1, 5, 6)).unwrap();
    let got = |filter| {
        show(&image(1, 11, 13), view.with_interpolation(filter), &Transform::of(CROP)).unwrap()
    };
    #[rustfmt::skip]
    let bilinear = [
        128, 89, 102, 159, 141, 191, 115, 142, 106, 158, 144, 115, 123, 124, 160,
        159, 145, 135, 134, 134, 146, 159, 124, 129, 101, 105, 128, 158, 114, 132,
    ];
    assert_within_one_level(&got(Interpolation::Bilinear), &bilinear);
    #[rustfmt::skip]
    let lanczos = [
        131, 88, 96, 166, 137, 198, 105, 145, 101, 172, 136, 104, 134, 119, 163,
        152, 157, 146, 128, 151, 144, 152, 129, 118, 100, 103, 120, 170, 103, 127,
    ];
    assert_within_one_level(&got(Interpolation::Lanczos), &lanczos);
}

/// Pillow: `image.resize((10, 8), BICUBIC).crop((2, 0, 9, 7))` of 20 × 15 pixels.
#[test]
fn the_center_matches_resizing_and_center_cropping_in_pillow() {
    let view = View::new(ImageShape::new(1, 7, 7)).unwrap();
    let got = show(&image(1, 15, 20), view, &Transform::of(Frame::Center)).unwrap();
    #[rustfmt::skip]
    let pillow = [
        114, 118, 117, 147, 141, 115, 124, 112, 157, 141, 132, 131, 126, 140, 139,
        154, 150, 130, 126, 141, 149, 147, 153, 130, 100, 132, 116, 144, 110, 146,
        113, 121, 113, 93, 167, 142, 132, 128, 146, 138, 132, 140, 126, 123, 126,
        109, 131, 166, 123,
    ];
    assert_within_one_level(&got, &pillow);
}

#[test]
fn an_image_of_the_views_size_is_evaluated_untouched() {
    let image = image(4, 6, 9);
    let view = View::new(image.shape()).unwrap();
    assert_eq!(show(&image, view, &Transform::of(Frame::Center)).unwrap(), image.bytes().unwrap());
}

#[test]
fn a_crop_of_the_views_size_is_copied() {
    let view = View::new(ImageShape::new(1, 2, 2)).unwrap();
    let frame = Frame::Crop(CropBox { top: 1, left: 2, height: 2, width: 2 });
    let expected = [plane(4, 5)[7], plane(4, 5)[8], plane(4, 5)[12], plane(4, 5)[13]];
    assert_eq!(show(&image(1, 4, 5), view, &Transform::of(frame)).unwrap(), expected);
}

#[test]
fn flip_and_jitter_follow_the_resize() {
    let image = Image::new(ImageShape::new(1, 1, 3), vec![10_u8, 20, 30]).unwrap();
    let jitter = Jitter {
        steps: [
            Adjustment::Brightness(2.0),
            Adjustment::Contrast(1.0),
            Adjustment::Saturation(1.0),
        ],
    };
    let transform =
        Transform { flipped: true, jitter: Some(jitter), ..Transform::of(Frame::Center) };
    let view = View::new(image.shape()).unwrap();
    assert_eq!(show(&image, view, &transform).unwrap(), [60, 40, 20]);
}

#[test]
fn what_does_not_fit_is_named_with_both_sides() {
    let view = View::new(ImageShape::new(3, 4, 4)).unwrap();
    let message = |image: &Image, frame, room: usize| {
        let (transform, mut out) = (Transform::of(frame), vec![0; room]);
        let rendered = view.render(image, &transform, &mut Scratch::default(), &mut out);
        rendered.unwrap_err().to_string()
    };
    let channels = message(&image(1, 8, 8), Frame::Center, 48);
    assert!(channels.contains("images of 3 channels, got one of 1 (1×8×8)"), "{channels}");
    let room = message(&image(3, 8, 8), Frame::Center, 47);
    assert!(room.contains("48 values, got room for 47"), "{room}");
    let part = message(&image(3, 8, 8), CROP, 48);
    assert!(part.contains("3×8×8 has no part of 8×9 pixels at row 1, column 2"), "{part}");
    let empty = message(&image(3, 0, 8), Frame::Center, 48);
    assert!(empty.contains("3×0×8"), "{empty}");
    assert!(View::new(ImageShape::new(3, 0, 4)).unwrap_err().to_string().contains("3×0×4"));
}
