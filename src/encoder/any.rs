//! An encoder chosen at run time.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Backbone, GridTokens, VitBody, VitConfig};
use crate::nn::Weights;

/// Any of this crate's encoders, without what only pre-training needs (a mask token): what is
/// loaded when a file says which encoder it is.
#[derive(Module, Debug)]
pub enum AnyBackbone {
    /// A vision transformer.
    Vit(VitBody),
}

impl AnyBackbone {
    /// An encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`VitConfig::validate`] when that fails.
    pub fn new(config: &VitConfig, weights: &mut Weights) -> Self {
        Self::Vit(VitBody::new(config, weights))
    }

    /// The sizes it was made with.
    pub fn config(&self) -> &VitConfig {
        match self {
            Self::Vit(body) => body.config(),
        }
    }

    /// The same weights in an encoder with another drop-path probability, on the same device.
    ///
    /// # Panics
    ///
    /// When the probability is outside [0, 1).
    pub fn with_drop_path(self, drop_path: f64) -> Self {
        let config = self.config().clone().with_drop_path(drop_path);
        let device = self.devices().into_iter().next().expect("an encoder has parameters");
        // Fresh weights are lazy, and never drawn.
        Self::new(&config, &mut Weights::new(0, &device)).load_record(self.into_record())
    }
}

impl Backbone for AnyBackbone {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        match self {
            Self::Vit(body) => body.represent(images),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Vit(body) => body.width(),
        }
    }

    fn layers(&self) -> usize {
        match self {
            Self::Vit(body) => body.layers(),
        }
    }

    /// Paths within the enum begin with the variant's name.
    fn layer_of(&self, parameter: &str) -> usize {
        let within = parameter.split_once('.').map_or(parameter, |(_variant, within)| within);
        match self {
            Self::Vit(body) => body.layer_of(within),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::test_device;
    use burn::module::{ModuleVisitor, Param};
    use std::collections::BTreeMap;

    fn backbone() -> AnyBackbone {
        let config = VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 2, 2);
        AnyBackbone::new(&config, &mut Weights::new(0, &test_device()))
    }

    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        found: Vec<String>,
    }

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            self.found.push(self.path.join("."));
        }
    }

    #[test]
    fn the_paths_within_the_enum_have_the_layers_of_the_encoder() {
        let (any, mut paths) = (backbone(), Paths::default());
        any.visit(&mut paths);
        let mut counts = BTreeMap::<usize, usize>::new();
        for path in &paths.found {
            *counts.entry(any.layer_of(path)).or_default() += 1;
        }
        // Patch embedding, class token and positions; twelve a block; the last norm.
        assert_eq!(
            counts,
            BTreeMap::from([(0, 4), (1, 12), (2, 12), (3, 2)]),
            "{paths:?}",
            paths = paths.found
        );
    }

    #[test]
    fn another_drop_path_keeps_the_weights() {
        let images = || Tensor::ones([1, 2, 8, 12], &test_device());
        let any = backbone();
        let features = any.represent(images()).tokens.into_data();
        let dropping = any.with_drop_path(0.2);
        assert_eq!(dropping.config().drop_path, 0.2);
        dropping.represent(images()).tokens.into_data().assert_eq(&features, true);
    }
}
