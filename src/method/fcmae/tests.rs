//! FCMAE's model, by hand and by what it may not know.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, Tolerance};

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, named_parameters};
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(2, 16, 24);

fn config() -> FcMaeConfig {
    let encoder = ConvNextV2Config::new(IMAGE, 4, vec![4, 6], vec![1, 2]);
    FcMaeConfig::new(encoder).with_decoder(ConvNextDecoderConfig::new().with_width(8))
}

/// Two images; of the 2 × 3 cells of each the mask hides the first two and the last two.
fn batch(weights: &mut InitialWeights) -> MimBatch {
    let images = weights.param([2, 2, 16, 24], Init::Normal { std: 1.0 }).val().inner();
    let masks =
        [[0, 1], [4, 5]].map(|cells| UnitMask::from_indices(Grid::new(2, 3), cells).unwrap());
    MimBatch::new(images, Mask::new(masks, &test_device()).unwrap())
}

#[test]
fn the_papers_numbers_are_the_defaults() {
    let config = FcMaeConfig::new(ConvNextV2Config::base());
    config.validate().unwrap();
    let mask = config.mask().unwrap();
    // 49 patches of 32 pixels, of which int(49 · 0.4) stay.
    assert_eq!((mask.grid(), mask.hidden()), (Grid::square(7), 30));
    let small = FcMaeConfig::small_images(ImageShape::square(3, 32));
    small.validate().unwrap();
    assert_eq!((small.mask().unwrap().grid().cells(), small.mask().unwrap().hidden()), (16, 10));
}

#[test]
fn a_mask_finer_than_the_last_stage_or_an_image_of_parts_of_cells_is_refused() {
    let fine = config().with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 }).validate();
    assert!(fine.unwrap_err().to_string().contains("a mask unit of 4 pixels"));
    let odd = ConvNextV2Config { image: ImageShape::new(2, 20, 24), ..config().encoder };
    let odd = FcMaeConfig { encoder: odd, ..config() }.validate().unwrap_err();
    assert!(odd.to_string().contains("20×24 pixels cannot be cut into squares of 8"), "{odd}");
}

#[test]
fn every_parameter_has_a_finite_gradient_also_where_no_feature_responds() {
    let device = test_device().autodiff();
    let mut weights = InitialWeights::new(0, &device);
    for silent in [false, true] {
        let mut model = config().init(&mut weights);
        if silent {
            // What goes into the response norm is 0 everywhere.
            let fc1 = &mut model.encoder.stages[0].blocks[0].fc1;
            fc1.weight = Param::from_tensor(fc1.weight.val().inner().zeros_like().autodiff());
        }
        let gradients = model.loss(batch(&mut weights)).loss.backward();
        let mut finite = Finite { gradients: &gradients, seen: 0 };
        model.visit(&mut finite);
        assert_eq!(finite.seen, named_parameters(&model).len());
    }
}

/// Asserts that parameters have finite gradients.
struct Finite<'a> {
    gradients: &'a Gradients,
    seen: usize,
}

impl ModuleVisitor for Finite<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient =
            parameter.val().grad(self.gradients).expect("every parameter has a gradient");
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
        self.seen += 1;
    }
}

#[test]
fn the_decoder_fills_hidden_cells_from_visible_ones() {
    let mut weights = InitialWeights::new(0, &test_device());
    let (model, batch) = (config().init(&mut weights), batch(&mut weights));
    let predicted = model.predict(&batch);
    assert_eq!(predicted.dims(), [2, 2, 2 * 8 * 8]);
    // Hidden pixels do not matter.
    let visible = batch.mask.at(Grid::new(2, 3)).visible.contains();
    let keep = visible.float().reshape([2, 1, 2, 1, 3, 1]).expand([2, 2, 2, 8, 3, 8]);
    let other = batch.images.clone() * keep.reshape([2, 2, 16, 24]);
    let again = model.predict(&MimBatch { images: other, ..batch.clone() });
    again.into_data().assert_eq(&predicted.to_data(), true);
    // An image's prediction does not depend on the others of its batch.
    let masks = batch.mask.samples()[..1].to_vec();
    let alone = Mask::new(masks, &test_device()).unwrap();
    let alone = model.predict(&MimBatch::new(batch.images.clone().narrow(0, 0, 1), alone));
    let tolerance = Tolerance::absolute(1e-5);
    alone.into_data().assert_approx_eq::<f32>(&predicted.narrow(0, 0, 1).into_data(), tolerance);
}
