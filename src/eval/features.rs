//! The features of a data set, extracted once.

use std::str::FromStr;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::LabelledBatch;
use super::labels::{below, one_hot};
use super::turns::read_in_turns;
use crate::encoder::{Backbone, GridTokens};
use crate::error::{Error, Result};
use crate::train::Ranks;

/// How the tokens of an image become one vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all cells.
    #[default]
    Mean,
    /// The class token.
    ClassToken,
    /// The mean over all cells, and after it the class token.
    Both,
    /// All cells one after the other, row by row: features know their place. For nearest neighbors and linear
    /// probes.
    Cells,
}

impl Pooling {
    /// The length of a vector of tokens of this width, unless the number of cells decides it.
    pub fn width(self, width: usize) -> Option<usize> {
        match self {
            Self::Mean | Self::ClassToken => Some(width),
            Self::Both => Some(2 * width),
            Self::Cells => None,
        }
    }

    /// The vectors, `[batch, width]`: of [`Pooling::width`], or of all cells' features.
    ///
    /// # Errors
    ///
    /// When the class token is asked for and the encoder has none.
    pub fn of(self, features: GridTokens) -> Result<Tensor<2>> {
        if self == Self::Cells {
            return Ok(features.tokens.flatten(1, 2));
        }
        let mean = features.mean_pool();
        if self == Self::Mean {
            return Ok(mean);
        }
        let class_token = features.class_token.ok_or_else(|| {
            Error::config("the encoder has no class token: pool the mean over its cells")
        })?;
        Ok(if self == Self::Both { Tensor::cat(vec![mean, class_token], 1) } else { class_token })
    }
}

impl FromStr for Pooling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mean" => Ok(Self::Mean),
            "class" => Ok(Self::ClassToken),
            "both" => Ok(Self::Both),
            "cells" => Ok(Self::Cells),
            _ => Err(Error::config(format!(
                "unknown pooling `{text}`, expected mean, class, both or cells"
            ))),
        }
    }
}

/// A data set as its images' feature vectors, kept in memory.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[samples, width]`, on a plain device.
    pub values: Tensor<2>,
    /// Each sample's class, below `classes`.
    pub labels: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl Features {
    /// Features from vectors and their classes.
    ///
    /// # Errors
    ///
    /// When the number of labels differs from the number of vectors, when there is no vector, or
    /// when a label is not below `classes`.
    pub fn new(values: Tensor<2>, labels: Vec<usize>, classes: usize) -> Result<Self> {
        let [samples, _] = values.dims();
        if samples == 0 || labels.len() != samples {
            return Err(Error::config(format!("{samples} vectors with {} labels", labels.len())));
        }
        below(&labels, classes)?;
        Ok(Self { values, labels, classes })
    }

    /// The features that `backbone`, on a plain device, extracts from all batches, in their order;
    /// a [`Loader`](crate::data::Loader) and whatever else yields labelled batches will do.
    ///
    /// # Errors
    ///
    /// When a batch cannot be made, or the encoder has no class token to pool.
    pub fn extract<B: Backbone>(
        backbone: &B,
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        pooling: Pooling,
    ) -> Result<Self> {
        Self::read(batches, |images| pooling.of(backbone.represent(images)))
    }

    /// The features that `reader` makes of all batches, in their order: of images,
    /// `[batch, channels, height, width]`, vectors, `[batch, width]`.
    ///
    /// # Errors
    ///
    /// When a batch cannot be made, or the reader fails.
    pub fn read(
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        mut reader: impl FnMut(Tensor<4>) -> Result<Tensor<2>>,
    ) -> Result<Self> {
        Ok(Self::read_all(batches, |images| Ok(vec![reader(images)?]))?.remove(0))
    }

    /// Several kinds of features in one pass, such as those of several layers: as
    /// [`Features::read`], of a reader that makes as many tensors of every batch.
    ///
    /// # Errors
    ///
    /// As [`Features::read`].
    pub fn read_all(
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        reader: impl FnMut(Tensor<4>) -> Result<Vec<Tensor<2>>>,
    ) -> Result<Vec<Self>> {
        Self::read_by(&Ranks::default(), batches, reader).map(|all| all.expect("one has all"))
    }

    /// The same by several processes, of which each has its part of the batches: the first has the
    /// features of all, the others none.
    pub(crate) fn read_by(
        ranks: &Ranks,
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
        mut reader: impl FnMut(Tensor<4>) -> Result<Vec<Tensor<2>>>,
    ) -> Result<Option<Vec<Self>>> {
        let (mut values, mut labels): (Vec<Vec<_>>, _) = (Vec::new(), Vec::new());
        let mut classes = 0;
        let read = |images| Ok((reader(images)?, ()));
        read_in_turns(ranks, batches, read, |piece| {
            classes = piece.classes;
            values.resize_with(piece.kinds.len(), Vec::new);
            values.iter_mut().zip(piece.kinds).for_each(|(values, kind)| values.push(kind));
            labels.extend(piece.labels);
            Ok(())
        })?;
        if !ranks.is_first() {
            return Ok(None);
        }
        if values.is_empty() {
            return Err(Error::config("there is no batch to extract features from"));
        }
        let features = |values| Self::new(Tensor::cat(values, 0), labels.clone(), classes);
        values.into_iter().map(features).collect::<Result<_>>().map(Some)
    }

    /// The features of the same samples side by side.
    ///
    /// # Panics
    ///
    /// When there are none, or not of as many samples.
    pub fn beside(all: &[Self]) -> Self {
        let values = all.iter().map(|features| features.values.clone()).collect();
        Self { values: Tensor::cat(values, 1), ..all[0].clone() }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false, since there is at least one sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The length of each vector.
    pub fn width(&self) -> usize {
        self.values.dims()[1]
    }

    /// The device of the vectors.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// The samples at these places, in this order.
    ///
    /// # Errors
    ///
    /// When `places` is empty.
    ///
    /// # Panics
    ///
    /// When a place is beyond the end.
    pub fn select(&self, places: &[usize]) -> Result<Self> {
        let labels = places.iter().map(|&place| self.labels[place]).collect();
        let values = self.values.clone().select(0, indices(places, &self.device()));
        Self::new(values, labels, self.classes)
    }

    /// The classes as one-hot targets, `[samples, classes]`.
    pub(super) fn one_hot(&self) -> Tensor<2> {
        one_hot(&self.labels, self.classes, &self.device()).expect("labels are checked by `new`")
    }
}

/// The places as a tensor of indices.
pub(super) fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::data::{ChannelStatistics, Loader, LoaderConfig};
    use crate::encoder::VitConfig;
    use crate::eval::LabelledCollate;
    use crate::grid::ImageShape;
    use crate::nn::InitialWeights;
    use crate::test_device;
    use std::sync::Arc;

    const SHAPE: ImageShape = ImageShape::new(1, 8, 12);

    fn loader(batch_size: usize) -> Loader<LabelledCollate> {
        let pixels = (0..5 * SHAPE.values()).map(|i| (i * i / 7 % 256) as u8).collect();
        let dataset = MemoryDataset::new(SHAPE, pixels, Some(vec![0, 1, 2, 1, 0])).unwrap();
        let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
        let collate = LabelledCollate::new(SHAPE, &statistics, 3).unwrap();
        let config = LoaderConfig { batch_size, seed: 0, workers: 0, training: false };
        Loader::new(Arc::new(dataset), collate, config, &test_device()).unwrap()
    }

    #[test]
    fn features_are_in_the_order_of_the_data_whatever_the_batch() {
        let config = VitConfig::new(SHAPE, 4, 8, 1, 2);
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        for (pooling, width) in [
            (Pooling::Mean, 8),
            (Pooling::ClassToken, 8),
            (Pooling::Both, 16),
            (Pooling::Cells, 48),
        ] {
            let whole = Features::extract(&vit, &loader(5), pooling).unwrap();
            let parts = Features::extract(&vit, &loader(2), pooling).unwrap();
            assert_eq!(
                (whole.values.dims(), &whole.labels[..]),
                ([5, width], &[0, 1, 2, 1, 0][..])
            );
            let tolerance = burn::tensor::Tolerance::<f32>::absolute(1e-5);
            parts.values.into_data().assert_approx_eq(&whole.values.clone().into_data(), tolerance);
            let two = whole.select(&[4, 1]).unwrap();
            assert_eq!(two.labels, [0, 1]);
            let row = whole.values.slice_dim(0, 4..5).into_data();
            two.values.slice_dim(0, 0..1).into_data().assert_eq(&row, true);
        }
    }

    #[test]
    fn a_class_token_that_is_not_there_cannot_be_pooled() {
        let config = VitConfig::new(SHAPE, 4, 8, 1, 2).with_class_token(false);
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let error = Features::extract(&vit, &loader(5), Pooling::ClassToken).unwrap_err();
        assert!(error.to_string().contains("has no class token"), "{error}");
    }

    #[test]
    fn both_poolings_are_the_mean_and_then_the_class_token() {
        let config = VitConfig::new(SHAPE, 4, 8, 1, 2);
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let [mean, class_token, both] = ["mean", "class", "both"]
            .map(|name| Features::extract(&vit, &loader(5), name.parse().unwrap()).unwrap());
        assert_eq!((mean.width(), class_token.width(), both.width()), (8, 8, 16));
        let beside = Features::beside(&[mean, class_token]);
        both.values.into_data().assert_eq(&beside.values.into_data(), true);
        let message = "cls".parse::<Pooling>().unwrap_err().to_string();
        assert!(message.ends_with("expected mean, class, both or cells"), "{message}");
    }

    #[test]
    fn cells_side_by_side_are_those_whose_mean_is_pooled() {
        let config = VitConfig::new(SHAPE, 4, 8, 1, 2);
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let [mean, cells] = [Pooling::Mean, "cells".parse().unwrap()]
            .map(|pooling| Features::extract(&vit, &loader(5), pooling).unwrap().values);
        let of_cells = cells.reshape([5, 6, 8]).mean_dim(1).reshape([5, 8]);
        let tolerance = burn::tensor::Tolerance::<f32>::absolute(1e-5);
        of_cells.into_data().assert_approx_eq(&mean.into_data(), tolerance);
    }

    #[test]
    fn vectors_need_labels_of_known_classes() {
        let message = |labels| {
            let values = Tensor::zeros([2, 3], &test_device());
            Features::new(values, labels, 2).unwrap_err().to_string()
        };
        assert!(message(vec![0]).ends_with("2 vectors with 1 labels"));
        assert!(message(vec![0, 2]).ends_with("a label of 2 among 2 classes"));
    }
}
