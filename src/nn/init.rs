//! Initial weights, drawn on the host from a seed.

use burn::module::{Param, ParamId};
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::rng::{Purpose, stream};

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// The same value everywhere.
    Constant(f32),
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Normal with mean 0, drawn again outside ±`bound`.
    ///
    /// BEiT and SimMIM truncate at one standard deviation; timm's `trunc_normal_` at ±2 in
    /// *absolute* terms, which for a standard deviation of 0.02 is no truncation at all.
    TruncatedNormal {
        /// Standard deviation before truncation.
        std: f32,
        /// Largest absolute value.
        bound: f32,
    },
    /// Uniform in ±√(6 / (fan in + fan out)) (Glorot & Bengio 2010).
    XavierUniform,
}

impl Init {
    /// The same distribution with its standard deviation and its cut-off divided;
    /// [`Init::Constant`] and [`Init::XavierUniform`] have neither and stay as they are.
    pub fn divided_by(self, divisor: f32) -> Self {
        match self {
            Self::Normal { std } => Self::Normal { std: std / divisor },
            Self::TruncatedNormal { std, bound } => {
                Self::TruncatedNormal { std: std / divisor, bound: bound / divisor }
            }
            other => other,
        }
    }
}

impl Init {
    /// Normal with variance `gain` / `inputs`, for outputs that are sums over so many inputs: a
    /// gain of 1 keeps the inputs' variance, 2 keeps it where a rectifier follows (He et al. 2015,
    /// arXiv 1502.01852).
    pub fn of_fan_in(inputs: usize, gain: f32) -> Self {
        Self::Normal { std: (gain / inputs as f32).sqrt() }
    }
}

/// The source of a model's initial weights: one seed, one independent stream per parameter.
///
/// burn's own initializers draw lazily from one generator per process, so weights depend on the
/// backend, on the order of first use and on other threads. These depend on the seed alone: the
/// same seed gives the same weights on every backend. They are still lazy, so a model that is
/// about to load a checkpoint draws nothing.
#[derive(Debug, Clone)]
pub struct InitialWeights {
    seed: u64,
    device: Device,
    drawn: u64,
}

impl InitialWeights {
    /// Initial weights of `seed` on `device`; pass `device.autodiff()` for a model to be trained.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), drawn: 0 }
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A trainable parameter.
    ///
    /// [`Init::XavierUniform`] reads the first and the last dimension as fan in and fan out.
    pub fn param<const D: usize>(&mut self, shape: [usize; D], init: Init) -> Param<Tensor<D>> {
        let (seed, index) = (self.seed, self.drawn);
        self.drawn += 1;
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                let values = draw(&shape, init, &mut stream(seed, Purpose::Weights, 0, index));
                Tensor::from_data(TensorData::new(values, shape), device)
                    .set_require_grad(require_grad)
            },
            self.device.clone(),
            true,
            shape.into(),
        )
    }

    /// A linear layer from `input` to `output` features; its bias starts at 0.
    pub fn linear(&mut self, input: usize, output: usize, init: Init) -> Linear {
        Linear { bias: Some(self.zeros([output])), ..self.linear_without_bias(input, output, init) }
    }

    /// A linear layer without bias.
    pub fn linear_without_bias(&mut self, input: usize, output: usize, init: Init) -> Linear {
        Linear { weight: self.param([input, output], init), bias: None }
    }

    /// A convolution over squares of `side` pixels, an odd number, from `inputs` to `outputs`
    /// channels. It keeps the size of an image, zeros being around it; its bias starts at 0.
    pub fn conv2d(&mut self, [inputs, outputs]: [usize; 2], side: usize, init: Init) -> Conv2d {
        let conv = self.conv2d_without_bias([inputs, outputs], side, init);
        Conv2d { bias: Some(self.zeros([outputs])), ..conv }
    }

    /// As [`InitialWeights::conv2d`], without bias.
    pub fn conv2d_without_bias(
        &mut self,
        [inputs, outputs]: [usize; 2],
        side: usize,
        init: Init,
    ) -> Conv2d {
        let around = side / 2;
        Conv2d {
            weight: self.param([outputs, inputs, side, side], init),
            bias: None,
            stride: [1; 2],
            kernel_size: [side; 2],
            dilation: [1; 2],
            groups: 1,
            padding: PaddingConfig2d::Explicit(around, around, around, around),
        }
    }

    /// A trainable parameter of zeros.
    pub fn zeros<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<D>> {
        self.param(shape, Init::Constant(0.0))
    }
}

fn draw(shape: &[usize], init: Init, rng: &mut impl Rng) -> Vec<f32> {
    let count = shape.iter().product();
    let mut normal = |std: f32| std * Distribution::<f32>::sample(&StandardNormal, rng);
    match init {
        Init::Constant(value) => vec![value; count],
        Init::Normal { std } => (0..count).map(|_| normal(std)).collect(),
        Init::TruncatedNormal { std, bound } => (0..count)
            .map(|_| {
                loop {
                    let value = normal(std);
                    if value.abs() <= bound {
                        return value;
                    }
                }
            })
            .collect(),
        Init::XavierUniform => {
            let fans = shape[0] + shape[shape.len() - 1];
            let bound = (6.0 / fans as f32).sqrt();
            let uniform = Uniform::new_inclusive(-bound, bound).expect("a finite, positive bound");
            (0..count).map(|_| uniform.sample(rng)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    fn values(init: Init) -> Vec<f32> {
        draw(&[200, 100], init, &mut stream(1, Purpose::Weights, 0, 0))
    }

    #[test]
    fn weights_depend_on_the_seed_and_not_on_the_order_of_first_use() {
        let pair = |seed| {
            let mut weights = InitialWeights::new(seed, &test_device());
            let init = Init::Normal { std: 1.0 };
            (weights.param([3, 4], init), weights.param([3, 4], init))
        };
        let (a, b) = pair(7);
        let (c, d) = pair(7);
        let d_first = d.val().into_data();
        assert_eq!(a.val().into_data(), c.val().into_data());
        assert_eq!(b.val().into_data(), d_first);
        assert_ne!(a.val().into_data(), d_first);
        assert_ne!(a.val().into_data(), pair(8).0.val().into_data());
    }

    #[test]
    fn normal_weights_have_their_standard_deviation() {
        let v = values(Init::Normal { std: 0.02 });
        let std = (v.iter().map(|x| x * x).sum::<f32>() / v.len() as f32).sqrt();
        assert!((std - 0.02).abs() < 5e-4, "{std}");
    }

    #[test]
    fn truncated_weights_stay_within_their_bound() {
        let v = values(Init::TruncatedNormal { std: 0.02, bound: 0.02 });
        assert!(v.iter().all(|x| x.abs() <= 0.02));
        // A normal truncated at ±1σ has a standard deviation of 0.5396 σ.
        let std = (v.iter().map(|x| x * x).sum::<f32>() / v.len() as f32).sqrt();
        assert!((std - 0.5396 * 0.02).abs() < 2e-4, "{std}");
    }

    #[test]
    fn a_convolution_keeps_the_size_of_its_images_and_starts_with_the_variance_of_its_gain() {
        let mut weights = InitialWeights::new(0, &test_device());
        let conv = weights.conv2d([16, 32], 3, Init::of_fan_in(16 * 9, 2.0));
        let variance = conv.weight.val().square().mean().into_scalar::<f32>();
        assert!((variance * 16.0 * 9.0 - 2.0).abs() < 0.1, "{variance}");
        let images = Tensor::ones([1, 16, 5, 4], &test_device());
        assert_eq!(conv.forward(images).dims(), [1, 32, 5, 4]);
    }

    #[test]
    fn xavier_weights_fill_their_range() {
        let v = values(Init::XavierUniform);
        let bound = (6.0f32 / 300.0).sqrt();
        assert!(v.iter().all(|x| x.abs() <= bound));
        assert!(v.iter().any(|x| x.abs() > 0.99 * bound));
    }

    #[test]
    fn a_linear_layer_starts_without_bias() {
        let linear = InitialWeights::new(0, &test_device()).linear(2, 3, Init::XavierUniform);
        assert_eq!(linear.bias.unwrap().val().into_data().try_to_vec::<f32>().unwrap(), [0.0; 3]);
    }
}
