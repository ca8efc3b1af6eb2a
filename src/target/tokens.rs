//! Token ids as targets: masked image modelling as classification (BEiT).

use burn::module::Module;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Int, Tensor};

use super::tokenizer::{AnyTokenizer, Tokenizer};
use super::{Reconstruct, Target, check_prediction, entropy, log_shares, shares};
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::image::{grid_of, normalize};
use crate::kernel;

/// The ids a frozen tokenizer gives to the hidden cells of the batch's second view (Bao et al. 2021,
/// arXiv 2106.08254, §2.3), judged by cross-entropy.
#[derive(Module, Debug)]
pub struct TokenTarget<K: Module = AnyTokenizer> {
    /// Where the ids come from; never trained. It is part of the task's checkpoints, so that these
    /// are whole.
    pub tokenizer: K,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl<K: Tokenizer> TokenTarget<K> {
    /// A target of the ids of `tokenizer`, which is frozen.
    ///
    /// `mean` and `std` are those the encoder's images are normalized with, one for each channel:
    /// reconstructions are shown in the same units.
    pub fn new(tokenizer: K, mean: &[f32], std: &[f32]) -> Self {
        let tokenizer = tokenizer.valid().freeze();
        Self { tokenizer, mean: mean.to_vec(), std: std.to_vec() }
    }

    /// The ids of all cells of the second view, `[batch, cells]`.
    ///
    /// # Panics
    ///
    /// When the batch has no second view.
    pub fn ids(&self, batch: &MimBatch) -> Tensor<2, Int> {
        self.tokenizer.tokenize(view(batch).clone())
    }

    /// The grid of the ids of the second view.
    ///
    /// # Panics
    ///
    /// When the batch has no second view.
    pub fn grid(&self, batch: &MimBatch) -> Grid {
        grid_of(view(batch), self.tokenizer.patch())
    }

    /// The ids of all cells: the most likely ones of the hidden cells, the true ones of the others.
    ///
    /// # Shapes
    ///
    /// - prediction: `[batch, hidden, vocabulary]`
    /// - output: `[batch, cells]`
    ///
    /// # Panics
    ///
    /// When the batch has no second view.
    pub fn completed_ids(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<2, Int> {
        let predicted = prediction.without_autodiff().argmax(2).squeeze_dim(2);
        batch.mask.at(self.grid(batch)).asked.replace_ids(self.ids(batch), predicted)
    }
}

impl<K: Tokenizer> Target for TokenTarget<K> {
    type Prediction = Tensor<3>;
    type Value = Tensor<2, Int>;

    fn width(&self) -> usize {
        self.tokenizer.vocabulary()
    }

    /// # Panics
    ///
    /// When the batch has no second view.
    fn of(&self, batch: &MimBatch) -> Tensor<2, Int> {
        batch.mask.at(self.grid(batch)).asked.select_ids(self.ids(batch))
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<2, Int>) -> Tensor<1> {
        check_prediction(&prediction, value.dims(), self.width());
        kernel::cross_entropy(prediction.flatten(0, 1), value.flatten(0, 1)).mean()
    }

    /// The share of hidden cells whose token is predicted, the share of cells with the batch's most
    /// frequent token, and the perplexity of the batch's tokens (e to the power of their entropy).
    fn metrics(
        &self,
        prediction: &Tensor<3>,
        value: &Tensor<2, Int>,
    ) -> Vec<(&'static str, Tensor<1>)> {
        check_prediction(prediction, value.dims(), self.width());
        let predicted = prediction.clone().without_autodiff().argmax(2).squeeze_dim::<2>(2);
        let shares = shares(value.clone(), self.width());
        vec![
            ("token_accuracy", predicted.equal(value.clone()).float().mean()),
            ("most_frequent_token", shares.clone().max()),
            ("perplexity", entropy(shares).exp()),
        ]
    }

    /// The tokens' shares of the batch.
    fn trivial_prediction(&self, value: &Tensor<2, Int>) -> Option<Tensor<3>> {
        let [batch, hidden] = value.dims();
        let logits = log_shares(shares(value.clone(), self.width()));
        Some(logits.unsqueeze::<3>().expand([batch, hidden, self.width()]))
    }
}

impl<K: Tokenizer> Reconstruct for TokenTarget<K> {
    /// The most likely tokens of the hidden cells, decoded together with the tokens of the visible
    /// cells; zeros where the tokenizer has no decoder.
    ///
    /// # Panics
    ///
    /// When the batch has no second view.
    fn reconstruct(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        let grid = self.grid(batch);
        let ids = self.completed_ids(prediction, batch);
        let Some(decoded) = self.tokenizer.decode(ids, grid) else {
            return batch.images.zeros_like();
        };
        let [_, _, height, width] = batch.images.dims();
        let decoded = normalize(resized(decoded, [height, width]), &self.mean, &self.std);
        decoded * resized(batch.mask.at(grid).asked.map(), [height, width])
    }

    fn caption(&self) -> &'static str {
        "Predictions are the most likely tokens, decoded together with the true tokens of the visible patches."
    }
}

fn view(batch: &MimBatch) -> &Tensor<4> {
    batch.target_view.as_ref().expect(
        "a token target reads the batch's second view, of pixels in [0, 1]: see \
         MimCollate::with_target_view",
    )
}

/// Images of another size, by repeating or leaving out pixels.
fn resized(images: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [.., height, width] = images.dims();
    if [height, width] == size {
        return images;
    }
    interpolate(images, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::target::tokenizer::Palette;
    use crate::test_device;
    use burn::module::Param;

    /// Three colors of one channel, in cells of one pixel.
    fn target() -> TokenTarget<Palette> {
        let colors = Tensor::from_floats([[0.0], [0.5], [1.0]], &test_device().autodiff());
        TokenTarget::new(Palette { colors: Param::from_tensor(colors), patch: 1 }, &[0.5], &[0.25])
    }

    /// One image of 2 × 4 pixels, whose view of 1 × 2 has the tokens 2 and 1; the right half is
    /// hidden.
    fn batch() -> MimBatch {
        let device = test_device();
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        let images = Tensor::zeros([1, 1, 2, 4], &device);
        let mut batch = MimBatch::new(images, Mask::new([mask], &device).unwrap());
        batch.target_view = Some(Tensor::from_floats([[[[0.9, 0.6]]]], &device));
        batch
    }

    fn prediction() -> Tensor<3> {
        Tensor::from_floats([[[0.0, 1.0, 3.0]]], &test_device())
    }

    #[test]
    fn the_value_is_the_hidden_cells_token_and_the_loss_its_cross_entropy() {
        let (target, batch) = (target(), batch());
        let value = target.of(&batch);
        assert_eq!(value.clone().into_data().try_into_vec_as::<i64>().unwrap(), [1]);
        let loss: f32 = target.loss(prediction(), value).into_scalar();
        let expected = (1.0f32 + 1f32.exp() + 3f32.exp()).ln() - 1.0;
        assert!((loss - expected).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn metrics_compare_with_the_most_frequent_token() {
        let prediction = Tensor::from_floats(
            [[[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]], [[0.0, 9.0, 0.0], [9.0, 0.0, 0.0]]],
            &test_device(),
        );
        let value = Tensor::from_ints([[0, 0], [1, 1]], &test_device());
        let metrics = target().metrics(&prediction, &value);
        let named = |name| metrics.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        assert_eq!(named("token_accuracy").into_scalar::<f32>(), 0.75);
        assert_eq!(named("most_frequent_token").into_scalar::<f32>(), 0.5);
        assert!((named("perplexity").into_scalar::<f32>() - 2.0).abs() < 1e-5);
        // A guess of the shares has their entropy as its loss.
        let guess = target().trivial_prediction(&value).unwrap();
        let loss: f32 = target().loss(guess, value).into_scalar();
        assert!((loss - 2f32.ln()).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn predicted_tokens_are_decoded_at_the_images_size_where_they_were_hidden() {
        let images = target().reconstruct(prediction(), &batch()).into_data();
        // Token 2 is white, two deviations over the mean.
        let images: Vec<f32> = images.try_to_vec().unwrap();
        assert_eq!(images, [0.0, 0.0, 2.0, 2.0].repeat(2));
    }

    #[test]
    #[should_panic(expected = "predictions are of 1×1 hidden cells, the target's values of 1×4")]
    fn tokens_of_a_finer_grid_than_the_encoders_panic_with_both_counts() {
        // A view of twice the size has four tokens for each of the encoder's patches.
        let mut batch = batch();
        batch.target_view = Some(Tensor::zeros([1, 1, 2, 4], &test_device()));
        let value = target().of(&batch);
        target().metrics(&prediction(), &value);
    }

    #[test]
    fn the_tokenizer_is_frozen_on_a_plain_device() {
        let colors = target().tokenizer.colors;
        assert!(!colors.is_require_grad() && !colors.val().device().is_autodiff());
    }

    #[test]
    #[should_panic(expected = "reads the batch's second view")]
    fn a_batch_of_one_view_panics() {
        let mut batch = batch();
        batch.target_view = None;
        target().of(&batch);
    }
}
