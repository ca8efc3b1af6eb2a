//! Horizontal flip.

/// Mirrors an image left to right, in place.
///
/// `pixels` is rows of `width` values, of any number of planes.
///
/// # Panics
///
/// When `width` is 0.
pub fn flip_horizontal<T>(pixels: &mut [T], width: usize) {
    pixels.chunks_exact_mut(width).for_each(<[T]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_each_plane_is_reversed() {
        let mut pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        flip_horizontal(&mut pixels, 3);
        assert_eq!(pixels, [3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
    }

    #[test]
    fn flipping_twice_changes_nothing() {
        let image: Vec<u8> = (0..60).collect();
        let mut flipped = image.clone();
        flip_horizontal(&mut flipped, 5);
        assert_ne!(flipped, image);
        flip_horizontal(&mut flipped, 5);
        assert_eq!(flipped, image);
    }
}
