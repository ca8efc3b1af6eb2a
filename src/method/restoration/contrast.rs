//! A contrastive loss, by which patches of one image are told from patches of other images.

use burn::tensor::Tensor;

use crate::nn::unit;

/// Images that are compared with each other.
const GROUP: usize = 8;

/// The contrastive loss over patches (arXiv 2012.00364 §3.2): for every two
/// tokens of an image, −log of e^(their cosine) over the sum of e^(cosine) of the first one and the
/// second one's place in the other images; the mean of all.
///
/// The images of a batch are compared in groups of 8, those beyond the last whole group not at all,
/// since the cost of a comparison of all is quadratic; a single image has none, and a loss of 0.
///
/// # Shapes
///
/// - tokens: `[batch, cells, width]`
pub(super) fn contrast(tokens: Tensor<3>) -> Tensor<1> {
    let [batch, cells, width] = tokens.dims();
    let group = batch.min(GROUP);
    if group < 2 {
        return tokens.sum() * 0.0;
    }
    let groups = batch / group;
    let tokens = unit(tokens.narrow(0, 0, groups * group), 2);
    let own = tokens.clone().matmul(tokens.clone().swap_dims(1, 2));
    let all = tokens.reshape([groups, group * cells, width]);
    let all = all.clone().matmul(all.swap_dims(1, 2)).exp();
    let all = all.reshape([groups * group * cells, group, cells]).sum_dim(1);
    let others = all.reshape([groups * group, cells, cells]) - own.clone().exp();
    (others.log() - own).mean()
}

/// The loss of tokens that are all alike.
pub(super) fn indifferent(batch: usize) -> f64 {
    (batch.clamp(2, GROUP) as f64 - 1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn loss(tokens: Tensor<3>) -> f32 {
        contrast(tokens).into_scalar()
    }

    #[test]
    fn alike_tokens_have_the_indifferent_loss() {
        let tokens = Tensor::ones([17, 3, 4], &test_device());
        assert!((loss(tokens) - 7f32.ln()).abs() < 1e-5);
        assert!((indifferent(17) - 7f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn two_images_at_right_angles_are_told_apart_best() {
        // Own cosines are 1, others 0: log(e⁰) − 1.
        let tokens = Tensor::<3>::from_floats(
            [[[2.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]],
            &test_device(),
        );
        assert!((loss(tokens) + 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_pairs_are_those_of_the_equation() {
        // Two images of two patches, at 0° and 60°, at 90° and 0°.
        let (c, s) = (0.5f32, 0.75f32.sqrt());
        let images = [[[1.0, 0.0], [c, s]], [[0.0, 1.0], [1.0, 0.0]]];
        let cosine = |a: [f32; 2], b: [f32; 2]| a[0] * b[0] + a[1] * b[1];
        let mut expected = 0.0;
        for (image, other) in [(0, 1), (1, 0)] {
            for first in 0..2 {
                for second in 0..2 {
                    let near = cosine(images[image][first], images[image][second]);
                    expected += cosine(images[image][first], images[other][second]) - near;
                }
            }
        }
        let tokens = Tensor::<3>::from_floats(images, &test_device());
        assert!((loss(tokens) - expected / 8.0).abs() < 1e-6);
    }

    #[test]
    fn tokens_of_zeros_have_finite_gradients() {
        let tokens = Tensor::<3>::zeros([2, 3, 4], &test_device()).autodiff().require_grad();
        let gradients = contrast(tokens.clone()).backward();
        let gradient = tokens.grad(&gradients).unwrap().into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite), "{gradient}");
    }

    #[test]
    fn an_image_alone_has_nothing_to_be_told_from() {
        assert_eq!(loss(Tensor::ones([1, 3, 4], &test_device())), 0.0);
    }
}
