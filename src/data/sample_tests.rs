//! What images and clips promise.

use super::*;

#[test]
fn gray_and_color_become_each_other_as_pillow_does_it() {
    // Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0)) of Pillow 13.
    let pillow = [
        ([255_u8, 0, 0], 76),
        ([0, 255, 0], 150),
        ([0, 0, 255], 29),
        ([255, 255, 255], 255),
        ([1, 2, 3], 2),
        ([10, 200, 30], 124),
        ([123, 45, 67], 71),
        ([250, 3, 199], 99),
    ];
    for (rgb, gray) in pillow {
        let color = Image::new(ImageShape::square(3, 1), rgb.to_vec()).unwrap();
        assert_eq!(color.with_channels(1).unwrap().bytes().unwrap(), [gray], "{rgb:?}");
    }
    let gray = Image::new(ImageShape::new(1, 1, 2), vec![10_u8, 20]).unwrap();
    let color = gray.clone().with_channels(3).unwrap();
    assert_eq!(color.bytes().unwrap(), [10, 20, 10, 20, 10, 20]);
    assert_eq!(color.with_channels(1).unwrap(), gray);
    let message = gray.with_channels(4).unwrap_err().to_string();
    assert!(message.contains("an image of 1 channels cannot be brought to 4"), "{message}");
}

#[test]
fn a_clip_has_its_frames_one_below_the_other() {
    let frame = |first: u8| {
        let values = (first..first + 12).collect::<Vec<_>>();
        Image::new(ImageShape::new(2, 2, 3), values).unwrap()
    };
    let clip = Image::clip(&[frame(0), frame(100)]).unwrap();
    assert_eq!(
        (clip.shape(), clip.frames()),
        (ClipShape::new(ImageShape::new(2, 2, 3), 2).stacked(), 2)
    );
    assert_eq!(clip.frame_shape(), ImageShape::new(2, 2, 3));
    assert_eq!(clip.plane(1).unwrap(), [6, 7, 8, 9, 10, 11, 106, 107, 108, 109, 110, 111]);
    assert_eq!((clip.frame(0), clip.frame(1)), (frame(0), frame(100)));
    let small = Image::new(ImageShape::new(2, 1, 3), vec![0_u8; 6]).unwrap();
    let message = Image::clip(&[frame(0), small]).unwrap_err().to_string();
    assert!(message.contains("frame 1 of a clip is"), "{message}");
    assert!(Image::clip(&[]).is_err());
}

#[test]
fn a_fault_keeps_its_file_and_a_foreign_one_gets_the_sample() {
    let own = DatasetError::new(Error::data("a.png", "is cut"));
    assert_eq!(data_error(3, own).to_string(), "a.png: is cut");
    let bad = DatasetError::new(BadImage(Error::data("a.png", "is cut")));
    assert!(is_bad_image(&bad));
    assert_eq!(data_error(3, bad).to_string(), "a.png: is cut");
    let foreign = DatasetError::new(std::io::Error::other("on fire"));
    assert_eq!(data_error(3, foreign).to_string(), "sample 3: on fire");
}
