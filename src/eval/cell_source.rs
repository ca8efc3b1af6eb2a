//! Which of an encoder's features are read cell by cell.

use std::num::ParseIntError;
use std::str::FromStr;

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::encoder::{Backbone, GridTokens};
use crate::error::{Error, Result};
use crate::grid::Grid;

/// Which of an encoder's features are read cell by cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CellSource {
    /// What [`Backbone::represent`] gives.
    #[default]
    Last,
    /// Those after each of these layers, side by side: [`Backbone::represent_layers`].
    Layers(Vec<usize>),
    /// Those of all stages, side by side on the grid of the finest, each cell with the features of
    /// the coarser cells it lies in: [`Backbone::stages`].
    Stages,
}

impl CellSource {
    /// The features of `images`, without the class token.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    ///
    /// # Errors
    ///
    /// When no layer is named, or the encoder has no such layer.
    pub fn read<B: Backbone>(&self, encoder: &B, images: Tensor<4>) -> Result<GridTokens> {
        match self {
            Self::Last => Ok(encoder.represent(images)),
            Self::Layers(layers) => {
                let has = encoder.represented_layers();
                if layers.is_empty() {
                    return Err(Error::config("no layer to read the features of"));
                }
                if let Some(layer) = layers.iter().find(|&&layer| has == 0 || layer > has) {
                    return Err(Error::config(format!(
                        "there is no layer {layer} to read: {} names {has}",
                        encoder.describe()
                    )));
                }
                Ok(side_by_side(encoder.represent_layers(images, layers)))
            }
            Self::Stages => Ok(side_by_side(encoder.stages(images))),
        }
    }
}

impl FromStr for CellSource {
    type Err = Error;

    /// Reads `last`, `stages`, or the numbers of layers with commas between.
    fn from_str(text: &str) -> Result<Self> {
        let layers = || text.split(',').map(|layer| layer.trim().parse()).collect::<Result<_, _>>();
        match text {
            "last" => Ok(Self::Last),
            "stages" => Ok(Self::Stages),
            _ => layers().map(Self::Layers).map_err(|_: ParseIntError| {
                Error::config(format!(
                    "unknown features `{text}`, expected last, stages, or layers such as 2,4,6"
                ))
            }),
        }
    }
}

/// The features of all, on the grid of the first.
fn side_by_side(all: Vec<GridTokens>) -> GridTokens {
    let grid = all.first().expect("an encoder gives features").grid;
    let tokens = all.into_iter().map(|features| on_grid(features, grid)).collect();
    GridTokens { tokens: Tensor::cat(tokens, 2), class_token: None, grid }
}

/// For each cell of `grid` the features of the cell that its middle lies in.
fn on_grid(features: GridTokens, grid: Grid) -> Tensor<3> {
    let GridTokens { tokens, grid: coarse, .. } = features;
    if coarse == grid {
        return tokens;
    }
    let nearest = |i: usize, fine: usize, coarse: usize| (2 * i + 1) * coarse / (2 * fine);
    let places: Vec<i32> = (0..grid.cells())
        .map(|cell| {
            let row = nearest(cell / grid.cols, grid.rows, coarse.rows);
            let col = nearest(cell % grid.cols, grid.cols, coarse.cols);
            (row * coarse.cols + col) as i32
        })
        .collect();
    let places = TensorData::new(places, [grid.cells()]);
    tokens.clone().select(1, Tensor::<1, Int>::from_data(places, &tokens.device()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{SwinConfig, VitConfig};
    use crate::grid::ImageShape;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    const SHAPE: ImageShape = ImageShape::square(3, 32);

    fn images() -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(5, &test_device()).param([2, 3, 32, 32], init).val()
    }

    #[test]
    fn layers_stand_side_by_side_and_those_that_are_not_there_are_refused() {
        let config = VitConfig::new(SHAPE, 8, 12, 3, 2);
        let vit = config.init_visible(&mut InitialWeights::new(0, &test_device()));
        let both = CellSource::Layers(vec![3, 1]).read(&vit, images()).unwrap();
        assert_eq!(both.tokens.dims(), [2, 16, 24]);
        let first = vit.represent_layers(images(), &[1]).remove(0).tokens;
        let found = both.tokens.slice_dim(2, 12..24).into_data();
        found.assert_eq(&first.into_data(), true);
        let message =
            |layers| CellSource::Layers(layers).read(&vit, images()).unwrap_err().to_string();
        assert!(message(vec![1, 4]).contains("no layer 4 to read"), "{}", message(vec![1, 4]));
        assert!(message(vec![]).ends_with("no layer to read the features of"));
    }

    #[test]
    fn features_are_named_in_a_word_or_by_numbers() {
        assert_eq!("last".parse::<CellSource>().unwrap(), CellSource::Last);
        assert_eq!("stages".parse::<CellSource>().unwrap(), CellSource::Stages);
        assert_eq!("2, 4".parse::<CellSource>().unwrap(), CellSource::Layers(vec![2, 4]));
        let message = "first".parse::<CellSource>().unwrap_err().to_string();
        assert!(message.ends_with("expected last, stages, or layers such as 2,4,6"), "{message}");
    }

    #[test]
    fn stages_stand_side_by_side_on_the_finest_grid() {
        let swin =
            SwinConfig::small_images(SHAPE).init(&mut InitialWeights::new(0, &test_device()));
        let stages = swin.stages(images());
        let all = CellSource::Stages.read(&swin, images()).unwrap();
        let width: usize = stages.iter().map(|stage| stage.tokens.dims()[2]).sum();
        assert_eq!(all.tokens.dims(), [2, stages[0].grid.cells(), width]);
        // The last fine cell lies in the last coarse cell.
        let [_, coarse, last] = stages[2].tokens.dims();
        let cells = all.grid.cells();
        let found = all.tokens.narrow(1, cells - 1, 1).narrow(2, width - last, last);
        let expected = stages[2].tokens.clone().narrow(1, coarse - 1, 1);
        found.into_data().assert_eq(&expected.into_data(), true);
    }
}
