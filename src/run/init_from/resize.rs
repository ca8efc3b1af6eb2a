//! Weights for images of another size or other channels.

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use crate::checkpoint::{HostTensor, repeated};
use crate::grid::{Grid, ImageShape};
use crate::nn::{PositionResize, TableResize, resize_offsets};

/// The images of the weights, those of the run, and what both share.
pub(super) struct Change {
    pub(super) from: ImageShape,
    pub(super) to: ImageShape,
    /// Side of a patch, where the encoder has patches.
    patch: Option<usize>,
    positions: PositionResize,
}

impl Change {
    pub(super) fn new(from: ImageShape, to: ImageShape, network: &Value) -> Self {
        let patch = network["patch"].as_u64().and_then(|patch| usize::try_from(patch).ok());
        let positions = serde_json::from_value(network["position_resize"].clone());
        Self { from, to, patch, positions: positions.unwrap_or(PositionResize::Bicubic) }
    }

    /// The value of the parameter `path` in the shape `to`: resized where it is a table of the
    /// grid or an embedding of patches, and otherwise as it is.
    pub(super) fn of(
        &self,
        path: &str,
        value: &HostTensor,
        to: &[usize],
        device: &Device,
    ) -> Option<HostTensor> {
        if self.from == self.to {
            return None;
        }
        let (&[rows, width], &[new_rows, new_width]) = (value.shape.as_slice(), to) else {
            return None;
        };
        if width != new_width {
            return None;
        }
        if path.ends_with("patch_embed.weight") && self.inflates() {
            return self.tubelets(value, to);
        }
        if path.ends_with("patch_embed.weight") {
            return self.channels(value, to);
        }
        let [from, to_grid] = self.grids()?;
        let resized = if path.ends_with("positions.table") {
            let first = rows.checked_sub(from.cells())?;
            let same = from != to_grid && new_rows.checked_sub(to_grid.cells()) == Some(first);
            same.then(|| {
                joined(value, first, device, |cells| self.positions.resized(cells, from, to_grid))
            })?
        } else if path.contains("relative_positions.") {
            // The distances of a class token come last.
            let offsets = |grid: Grid| (2 * grid.rows - 1) * (2 * grid.cols - 1);
            let last = rows.checked_sub(offsets(from))?;
            let same = from != to_grid && new_rows.checked_sub(offsets(to_grid)) == Some(last);
            let (bicubic, count) = (TableResize::Bicubic, rows - last);
            same.then(|| {
                split(value, count, device, |table| resize_offsets(table, from, to_grid, bicubic))
            })?
        } else {
            return None;
        };
        Some(HostTensor { shape: to.to_vec(), values: resized })
    }

    /// Whether an encoder of images becomes one of clips.
    pub(super) fn inflates(&self) -> bool {
        self.from.frames == 1 && self.to.frames > 1
    }

    /// The embedding of patches as one of tubelets ([`inflate`](crate::checkpoint::inflate)).
    fn tubelets(&self, value: &HostTensor, to: &[usize]) -> Option<HostTensor> {
        let rows = value.shape[0];
        let pixels = self.patch?.pow(2);
        let fits = to[0].is_multiple_of(rows) && rows == self.to.channels * pixels;
        let values = fits.then(|| repeated(&value.values, pixels * to[1], to[0] / rows))?;
        Some(HostTensor { shape: to.to_vec(), values })
    }

    /// The grids of patches of both images.
    fn grids(&self) -> Option<[Grid; 2]> {
        let patch = self.patch?;
        Some([self.from.grid(patch).ok()?, self.to.grid(patch).ok()?])
    }

    /// The embedding of patches `[channels · patch², width]` for other channels: each gets the mean
    /// over the old ones, scaled so that equal channels give the same sum as before.
    fn channels(&self, value: &HostTensor, to: &[usize]) -> Option<HostTensor> {
        let [old, new] = [self.from.channels, self.to.channels];
        let (rows, width) = (value.shape[0], value.shape[1]);
        let area = rows.checked_div(old).filter(|area| area * old == rows)?;
        if old == new || area * new != to[0] {
            return None;
        }
        let plane = area * width;
        let mean =
            |at: usize| value.values.iter().skip(at).step_by(plane).sum::<f32>() / new as f32;
        let one: Vec<f32> = (0..plane).map(mean).collect();
        Some(HostTensor { shape: to.to_vec(), values: one.repeat(new) })
    }
}

/// `value` with all rows but the `first` ones changed by `resize`.
fn joined(
    value: &HostTensor,
    first: usize,
    device: &Device,
    resize: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Vec<f32> {
    let start = first * value.shape[1];
    let mut values = value.values[..start].to_vec();
    values
        .extend(resize(table(value, start, value.values.len(), device)).into_data().iter::<f32>());
    values
}

/// `value` with its first `count` rows changed by `resize`.
fn split(
    value: &HostTensor,
    count: usize,
    device: &Device,
    resize: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Vec<f32> {
    let end = count * value.shape[1];
    let mut values: Vec<f32> = resize(table(value, 0, end, device)).into_data().iter().collect();
    values.extend(&value.values[end..]);
    values
}

fn table(value: &HostTensor, start: usize, end: usize, device: &Device) -> Tensor<2> {
    let width = value.shape[1];
    let values = value.values[start..end].to_vec();
    Tensor::from_data(TensorData::new(values, [(end - start) / width, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tensor(shape: [usize; 2], values: impl Iterator<Item = f32>) -> HostTensor {
        HostTensor { shape: shape.to_vec(), values: values.collect() }
    }

    #[test]
    fn a_constant_table_stays_constant_and_rows_before_the_cells_stay() {
        let (from, to) = (ImageShape::square(3, 8), ImageShape::new(3, 8, 16));
        let change = Change::new(from, to, &json!({ "patch": 4 }));
        let value = tensor([5, 2], (0..10).map(|i| if i < 2 { 7.0 } else { 0.5 }));
        let path = "encoder.body.positions.table";
        let resized = change.of(path, &value, &[9, 2], &Device::flex()).unwrap();
        assert_eq!(resized.values[..2], [7.0; 2]);
        assert!(resized.values[2..].iter().all(|value| (value - 0.5).abs() < 1e-6));
        // A table of another width, and anything that is no table, is not resized.
        assert!(change.of(path, &value, &[9, 3], &Device::flex()).is_none());
        assert!(change.of("encoder.norm", &value, &[9, 2], &Device::flex()).is_none());
    }

    #[test]
    fn new_channels_keep_the_sum_over_equal_ones() {
        let (from, to) = (ImageShape::square(2, 8), ImageShape::square(4, 8));
        let change = Change::new(from, to, &json!({ "patch": 1 }));
        let value = tensor([2, 3], [1.0, 2.0, 3.0, 5.0, 6.0, 7.0].into_iter());
        let path = "encoder.body.patch_embed.weight";
        let resized = change.of(path, &value, &[4, 3], &Device::flex()).unwrap();
        assert_eq!(resized.values, [1.5, 2.0, 2.5].repeat(4));
    }
}
