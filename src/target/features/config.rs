//! Which features of a teacher are predicted, and how a prediction is judged.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::config;
use crate::error::{Result, ensure};

/// What of a teacher is read, as in `{"of": "mlps", "last": 10}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FeatureLayers {
    /// What it leaves in the end, after its final norm (I-JEPA, arXiv 2301.08243; MILAN, arXiv
    /// 2208.06049).
    Output {},
    /// The tokens after each of its last blocks.
    Blocks {
        /// How many blocks.
        last: usize,
    },
    /// What the MLP of each of its last blocks computes, before it is added to the tokens (data2vec,
    /// arXiv 2202.03555 §3.3).
    Mlps {
        /// How many blocks.
        last: usize,
    },
}

/// What is done to features so that neither their mean nor their scale is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureNorm {
    /// Nothing.
    None,
    /// Each feature has mean 0 and variance 1 over the cells of its image.
    Instance,
    /// Each cell has mean 0 and variance 1 over its features.
    Layer,
}

/// What is added to variances: PyTorch's default.
const EPSILON: f64 = 1e-5;

impl FeatureNorm {
    /// The normalized features.
    ///
    /// # Shapes
    ///
    /// - features, output: `[batch, cells, width]`
    pub fn apply(self, features: Tensor<3>) -> Tensor<3> {
        let over = match self {
            Self::None => return features,
            Self::Instance => 1,
            Self::Layer => 2,
        };
        let centered = features.clone() - features.mean_dim(over);
        let variance = centered.clone().square().mean_dim(over);
        centered / (variance + EPSILON).sqrt()
    }
}

/// How a prediction is judged, as in `{"loss": "smooth-l1", "beta": 2.0}`; the mean over all cells
/// and features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FeatureLoss {
    /// The squared difference.
    Squared {},
    /// The squared difference over 2 `beta` up to `beta`, and the absolute one less `beta` / 2 above
    /// (arXiv 1504.08083).
    SmoothL1 {
        /// Where the one becomes the other.
        beta: f64,
    },
    /// 1 less the cosine of the angle between the two (EVA, arXiv 2211.07636).
    Cosine {},
}

impl FeatureLoss {
    /// The loss of predictions, a scalar.
    ///
    /// # Shapes
    ///
    /// - predicted, value: `[batch, cells, width]`
    pub fn of(self, predicted: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        match self {
            Self::Squared {} => (predicted - value).square().mean(),
            Self::SmoothL1 { beta } => {
                let off = (predicted - value).abs();
                let small = off.clone().clamp_max(beta);
                // With s = min(d, β): s² / 2β + (d − s) is both halves.
                (small.clone().square() / (2.0 * beta) + off - small).mean()
            }
            Self::Cosine {} => {
                let unit = |rows: Tensor<3>| crate::nn::unit(rows, 2);
                (unit(predicted) * unit(value)).sum_dim(2).mean().neg() + 1.0
            }
        }
    }
}

config! {
    /// The features of a teacher that a [`FeatureTarget`](super::FeatureTarget) asks for. The
    /// defaults are data2vec 2.0's for images (arXiv 2212.07525, official configuration).
    #[derive(Debug, Copy, PartialEq)]
    pub struct FeatureConfig {
        /// What of the teacher is read; the mean of several layers.
        pub layers: FeatureLayers,
        /// What is done to the features of each layer. Default: a norm of each feature over the cells
        pub each: FeatureNorm = FeatureNorm::Instance,
        /// What is done to their mean. Default: a norm of each cell over its features
        pub mean: FeatureNorm = FeatureNorm::Layer,
        /// How a prediction is judged. Default: by its squared difference
        pub loss: FeatureLoss = FeatureLoss::Squared {},
    }
}

impl FeatureConfig {
    /// What a teacher leaves in the end, as it is, judged by the cosine of the angle (EVA, arXiv
    /// 2211.07636 §2.2; MILAN, arXiv 2208.06049 §3.1).
    pub(crate) fn output_by_angle() -> Self {
        Self::new(FeatureLayers::Output {})
            .with_each(FeatureNorm::None)
            .with_mean(FeatureNorm::None)
            .with_loss(FeatureLoss::Cosine {})
    }

    /// Checks the numbers against a teacher of `depth` blocks.
    ///
    /// # Errors
    ///
    /// Names the number that is out of range.
    pub fn validate(&self, depth: usize) -> Result<()> {
        if let FeatureLayers::Blocks { last } | FeatureLayers::Mlps { last } = self.layers {
            ensure!(
                last > 0 && last <= depth,
                "features of the last {last} blocks cannot be asked of a teacher of {depth}"
            );
        }
        if let FeatureLoss::SmoothL1 { beta } = self.loss {
            ensure!(
                beta > 0.0 && beta.is_finite(),
                "beta of a smooth L1 loss must be a finite number above 0, got {beta:?}"
            );
        }
        Ok(())
    }
}
