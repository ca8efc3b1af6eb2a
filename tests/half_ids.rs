//! Ids on a device whose floats have 8 bits of precision: they must not travel as floats, where 257
//! is 256 and 511 is 512. In a process of its own, since a device is configured once.

use burn::module::Param;
use burn::tensor::{Device, FloatDType, IntDType, Tensor, TensorData};
use burn_mim::encoder::GptConfig;
use burn_mim::method::{ImageGpt, ImageGptBatch};
use burn_mim::nn::InitialWeights;
use burn_mim::{Grid, ImageGptConfig, ImageShape, Mask, PretextTask, UnitMask};

const SIDE: usize = 4;

/// Colors that half precision tells apart: the three digits of a number to the base 8.
fn color(id: usize) -> [f32; 3] {
    [id / 64, id / 8 % 8, id % 8].map(|digit| digit as f32 / 8.0)
}

/// An image of the color 0 in which the last pixel has the color `id`.
fn image(id: usize, device: &Device) -> Tensor<4> {
    let pixels: Vec<[f32; 3]> = (0..SIDE * SIDE)
        .map(|pixel| color(if pixel + 1 == SIDE * SIDE { id } else { 0 }))
        .collect();
    let planes = (0..3).flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel]));
    Tensor::from_data(TensorData::new(planes.collect::<Vec<_>>(), [1, 3, SIDE, SIDE]), device)
}

/// A model whose logits differ for the colors of odd numbers.
fn model(device: &Device) -> ImageGpt {
    let palette = (0..512).flat_map(color).collect::<Vec<_>>();
    let palette = Tensor::from_data(TensorData::new(palette, [512, 3]), device);
    let config = ImageGptConfig::new(GptConfig::new(ImageShape::square(3, SIDE), 8, 1, 2)).bert();
    let mut model = config.init(Some(palette), &mut InitialWeights::new(0, device));
    let weight: Vec<f32> =
        (0..8 * 512).map(|place| (place % 2 * (place / 512 + 1)) as f32).collect();
    let weight = Tensor::from_data(TensorData::new(weight, [8, 512]), device);
    model.head.weight = Param::from_tensor(weight);
    model
}

#[test]
fn a_hidden_color_is_asked_for_by_its_own_number() {
    let mut device = Device::flex();
    device.configure((FloatDType::BF16, IntDType::I32)).unwrap();
    let model = model(&device);
    let loss = |id: usize| -> f32 {
        let mask = UnitMask::from_indices(Grid::square(SIDE), [SIDE * SIDE - 1]).unwrap();
        let mask = Mask::new([mask], &device).unwrap();
        let images = image(id, &device);
        assert_eq!(images.dtype(), FloatDType::BF16.into());
        let ids = model.encoder.ids(images.clone()).into_data().try_into_vec_as::<i64>().unwrap();
        assert_eq!(ids[SIDE * SIDE - 1], id as i64);
        model.loss(ImageGptBatch { images, mask: Some(mask) }).loss.into_scalar()
    };
    // The model does not see the hidden color, so that all even numbers cost the same, and all odd.
    let (even, odd) = (loss(0), loss(1));
    assert!((even - odd).abs() > 0.1, "{even} {odd}");
    for id in [256, 257, 303, 510, 511] {
        assert_eq!(loss(id), if id % 2 == 0 { even } else { odd }, "{id}");
    }
}
