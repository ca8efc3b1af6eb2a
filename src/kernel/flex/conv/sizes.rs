//! The sizes of a convolution, and how its work is cut.

/// Numbers of a block of columns: as many as stay in a core's second cache.
const BLOCK: usize = 1 << 17;

/// Columns of a block at least: with fewer a product takes as long to arrange the weight as to multiply.
const COLUMNS: usize = 128;

/// Pixels of a row that need no others beside them.
const LONG: usize = 16;

/// Pixels that are computed side by side, of several images, where rows are shorter.
const SPAN: usize = 64;

/// The most images that are computed side by side.
const LANES: usize = 32;

/// Tiles that there should be at least, for threads to share out.
const TILES: usize = 4;

/// The sizes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sizes {
    /// Channels that are read.
    pub(super) inputs: usize,
    /// Channels that are written.
    pub(super) outputs: usize,
    /// Rows and columns of what is read.
    pub(super) image: [usize; 2],
    /// Rows and columns of what is written.
    pub(super) output: [usize; 2],
    /// Rows and columns of a window.
    pub(super) window: [usize; 2],
    /// How far windows are apart.
    pub(super) stride: usize,
    /// Rows of zeros above, and columns of zeros to the left.
    pub(super) padding: [usize; 2],
    /// Whether what is read below 0 counts as 0.
    pub(super) rectified: bool,
}

impl Sizes {
    /// Those of a convolution with weights of this shape, of images of these rows and columns.
    pub(super) fn new(
        weight: [usize; 4],
        image: [usize; 2],
        stride: usize,
        padding: usize,
    ) -> Self {
        let [outputs, inputs, rows, cols] = weight;
        let window = [rows, cols];
        let output = [0, 1].map(|axis| (image[axis] + 2 * padding - window[axis]) / stride + 1);
        let padding = [padding; 2];
        Self { inputs, outputs, image, output, window, stride, padding, rectified: false }
    }

    /// Those of the convolution that carries gradients back, if there is one.
    pub(super) fn backward(self) -> Option<Self> {
        let Self { inputs, outputs, image, output, window, stride, padding, .. } = self;
        let back = |axis: usize| (window[axis] - 1).checked_sub(padding[axis]);
        let padding = [back(0)?, back(1)?];
        (stride == 1).then_some(Self {
            inputs: outputs,
            outputs: inputs,
            image: output,
            output: image,
            window,
            stride,
            padding,
            rectified: false,
        })
    }

    /// Numbers under a window, of all channels.
    pub(super) fn under(&self) -> usize {
        self.inputs * self.window[0] * self.window[1]
    }

    /// Numbers of an image.
    pub(super) fn read(&self) -> usize {
        self.inputs * self.image[0] * self.image[1]
    }

    /// Pixels of an output.
    pub(super) fn cells(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Rows and columns that windows reach.
    pub(super) fn reached(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.output[axis] - 1) * self.stride + self.window[axis])
    }

    /// Whether the windows are the pixels themselves.
    pub(super) fn is_by_pixel(&self) -> bool {
        self.window == [1, 1] && self.stride == 1 && self.padding == [0, 0]
    }

    /// How many images are computed side by side.
    pub(super) fn lanes(&self, images: usize) -> usize {
        if self.output[1] >= LONG || self.is_by_pixel() && self.cells() >= 2 * LONG {
            return 1;
        }
        (SPAN / self.output[1]).clamp(1, LANES).min(images / TILES).max(1)
    }

    /// Into how many parts `channels` of one image are split, where there are few images.
    pub(super) fn parts(images: usize, channels: usize) -> usize {
        let parts = [1, 2, 4].into_iter().rev();
        parts.into_iter().find(|n| channels.is_multiple_of(*n) && images * n <= TILES).unwrap_or(1)
    }

    /// Rows of the output whose columns are laid out at a time, of so many images side by side.
    pub(super) fn block(&self, lanes: usize) -> usize {
        let columns = (BLOCK / self.under()).max(COLUMNS);
        (columns / (self.output[1] * lanes)).clamp(1, self.output[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_goes_back_through_a_convolution_of_the_opposite_sizes() {
        let sizes = Sizes::new([5, 2, 3, 1], [7, 4], 1, 0);
        assert_eq!(sizes.output, [5, 4]);
        let back = sizes.backward().unwrap();
        assert_eq!((back.padding, back.output, back.outputs), ([2, 0], [7, 4], 2));
        assert_eq!(back.backward(), Some(sizes));
        assert_eq!(Sizes::new([5, 2, 3, 3], [7, 4], 2, 1).backward(), None);
        assert_eq!(Sizes::new([5, 2, 1, 1], [7, 4], 1, 1).backward(), None);
    }

    #[test]
    fn short_rows_of_several_images_lie_side_by_side() {
        let lanes = |side, images| Sizes::new([1, 1, 3, 3], [side; 2], 1, 1).lanes(images);
        assert_eq!([lanes(32, 64), lanes(8, 64), lanes(4, 64), lanes(2, 64)], [1, 8, 16, 16]);
        assert_eq!([lanes(2, 8), lanes(2, 1)], [2, 1]);
        assert_eq!([Sizes::parts(1, 6), Sizes::parts(1, 8), Sizes::parts(9, 8)], [2, 4, 1]);
    }
}
