//! Images of 8 bits become a network's input on the device that reads them.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Bytes that travel as one whole number of 32 bits, which every backend has.
const TOGETHER: usize = 4;

/// The value that its channel's table has for each byte of planar images, as a tensor on `device`.
///
/// On flex the values are looked up in the host's memory, which is the device's. To any other device go
/// the bytes, and the values are selected there from the tables: nothing is computed, so the bits are the
/// same on all.
///
/// # Shapes
///
/// - bytes: `[batch * channels * height * width]`, with a table for each channel
/// - output: `shape`, `[batch, channels, height, width]`
///
/// # Panics
///
/// When there are not as many bytes as `shape` says, or tables as channels.
pub fn byte_images(
    bytes: Vec<u8>,
    tables: &[[f32; 256]],
    shape: [usize; 4],
    device: &Device,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if super::enabled() && *device == Device::flex() {
        let values = looked_up(&bytes, tables, shape);
        return Tensor::from_data(TensorData::new(values, shape), device);
    }
    byte_images_composed(bytes, tables, shape, device)
}

/// [`byte_images`] from burn's operations.
///
/// # Panics
///
/// As [`byte_images`].
pub fn byte_images_composed(
    mut bytes: Vec<u8>,
    tables: &[[f32; 256]],
    shape: [usize; 4],
    device: &Device,
) -> Tensor<4> {
    let [batch, channels, height, width] = shape;
    let count = shape.iter().product::<usize>();
    assert!(bytes.len() == count && tables.len() == channels, "bytes and tables of {shape:?}");
    bytes.resize(count.next_multiple_of(TOGETHER), 0);
    let packed: Vec<i32> =
        bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    let packed = TensorData::new(packed, [bytes.len() / TOGETHER, 1]);
    let packed = Tensor::<2, Int>::from_data(packed, device);
    let shifts = Tensor::<1, Int>::from_data([0, 8, 16, 24], device).unsqueeze_dim::<2>(0);
    let places = packed.bitwise_right_shift(shifts).bitwise_and_scalar(255).flatten::<1>(0, 1);
    let places = places.slice_dim(0, 0..count).reshape([batch, channels, height * width]);
    let starts = Tensor::<1, Int>::arange(0..channels as i64, device) * 256;
    let places = places + starts.reshape([1, channels, 1]);
    let tables = TensorData::new(tables.concat(), [channels * 256]);
    let tables = Tensor::<1>::from_data(tables, device);
    tables.select(0, places.flatten::<1>(0, 2)).reshape(shape)
}

#[cfg(feature = "flex")]
fn looked_up(bytes: &[u8], tables: &[[f32; 256]], shape: [usize; 4]) -> Vec<f32> {
    use rayon::prelude::*;

    let [_, channels, height, width] = shape;
    let count = shape.iter().product::<usize>();
    assert!(bytes.len() == count && tables.len() == channels, "bytes and tables of {shape:?}");
    let area = (height * width).max(1);
    let mut values = vec![0.0; bytes.len()];
    let planes = values.par_chunks_mut(area).zip(bytes.par_chunks(area)).enumerate();
    planes.for_each(|(number, (values, bytes))| {
        let table = &tables[number % channels];
        values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = table[usize::from(*byte)]);
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn every_byte_becomes_the_value_of_its_channels_table_to_the_bit() {
        // The statistics of ImageNet-1k and of CIFAR-10, and gray.
        let mean = [0.485f32, 0.456, 0.406, 0.4914, 0.4822, 0.4465, 0.5];
        let std = [0.229f32, 0.224, 0.225, 0.2470, 0.2435, 0.2616, 0.1];
        for channels in [1, 3, 7] {
            let tables: Vec<[f32; 256]> = (0..channels)
                .map(|channel| {
                    let normal = |byte| (byte as f32 / 255.0 - mean[channel]) / std[channel];
                    std::array::from_fn(normal)
                })
                .collect();
            // Two images of all bytes in each channel, in other orders; no multiple of four for 7 × 1.
            for shape in [[2, channels, 16, 16], [1, channels, 257, 1]] {
                let count = shape.iter().product::<usize>();
                let bytes: Vec<u8> = (0..count).map(|at| (at * 7 % 256) as u8).collect();
                let area = shape[2] * shape[3];
                let expected: Vec<u32> = bytes
                    .iter()
                    .enumerate()
                    .map(|(at, byte)| {
                        let channel = at / area % channels;
                        let value = (f32::from(*byte) / 255.0 - mean[channel]) / std[channel];
                        value.to_bits()
                    })
                    .collect();
                for function in [byte_images, byte_images_composed] {
                    let found = function(bytes.clone(), &tables, shape, &test_device());
                    assert_eq!(found.dims(), shape);
                    let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
                    assert!(found.iter().map(|value| value.to_bits()).eq(expected.iter().copied()));
                }
            }
        }
    }
}
