//! What a view shows of a label map.

use super::View;
use super::crop::evaluation_region;
use crate::data::LabelMap;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

impl View {
    /// The classes of the pixels that the view shows of the middle of an image
    /// ([`Frame::Center`](super::Frame::Center)), each that of the nearest pixel.
    ///
    /// # Errors
    ///
    /// When the map is not of the size of the image.
    pub fn label_map(&self, map: &LabelMap, image: ImageShape) -> Result<LabelMap> {
        if (map.height(), map.width()) != (image.height, image.width) {
            return Err(Error::config(format!(
                "a label map of {}×{} pixels is not that of an image of {image}",
                map.height(),
                map.width()
            )));
        }
        let shape = self.shape();
        let region = evaluation_region(image, shape);
        let nearest = |start: f64, length: f64, out: usize, most: usize| -> Vec<usize> {
            let place = |i: usize| start + (i as f64 + 0.5) * length / out as f64;
            (0..out).map(|i| (place(i) as usize).min(most - 1)).collect()
        };
        let rows = nearest(region.top, region.height, shape.height, image.height);
        let cols = nearest(region.left, region.width, shape.width, image.width);
        let class = |row: usize, col: usize| map.classes()[row * image.width + col];
        let classes = rows.iter().flat_map(|&row| cols.iter().map(move |&col| class(row, col)));
        LabelMap::new(shape.height, shape.width, classes.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_the_views_size_is_shown_whole_and_a_larger_one_in_its_middle() {
        let shown = |map: &LabelMap, size: [usize; 2]| {
            let view = View::new(ImageShape::new(1, size[0], size[1])).unwrap();
            view.label_map(map, ImageShape::new(3, map.height(), map.width())).unwrap()
        };
        let map = LabelMap::new(2, 3, vec![0, 1, 2, 3, 4, 255]).unwrap();
        assert_eq!(shown(&map, [2, 3]), map);
        // As an image of 512 × 768 at 224: its 448 rows from 32 and 448 columns from 160 on.
        let large: Vec<u8> = (0..512 * 768).map(|i| (i % 768 / 4) as u8).collect();
        let large = shown(&LabelMap::new(512, 768, large).unwrap(), [224, 224]);
        let first: Vec<u8> = large.classes()[..224].to_vec();
        assert_eq!((first[0], first[1], first[2], first[223]), (40, 40, 41, 151));
    }

    #[test]
    fn a_map_of_another_size_than_its_image_is_refused_with_both() {
        let map = LabelMap::new(2, 2, vec![0; 4]).unwrap();
        let view = View::new(ImageShape::square(3, 2)).unwrap();
        let message = view.label_map(&map, ImageShape::new(3, 2, 4)).unwrap_err().to_string();
        assert!(message.contains("2×2 pixels is not that of an image of"), "{message}");
        let message = LabelMap::new(2, 2, vec![0; 3]).unwrap_err().to_string();
        assert!(message.ends_with("2×2 pixels holds 4 classes, got 3"), "{message}");
    }
}
