//! How an encoder is fine-tuned, as flags say.

use clap::ValueEnum;

use super::numbers::positive;
use crate::eval::FineTuning;

/// The flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub(crate) struct Tuning {
    /// The numbers to fine-tune with: this crate's for small images, or a paper's [default: what fits
    /// the size of the encoder and the number of labels]
    #[arg(long, value_enum)]
    pub(crate) recipe: Option<TuningRecipe>,
    /// Passes of fine-tuning over the labelled images [default: the recipe's; of small encoders those
    /// that show about 60 000 images]
    #[arg(long, value_parser = positive)]
    pub(crate) epochs: Option<usize>,
}

/// The recipes by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TuningRecipe {
    SmallImages,
    MaeBase,
    MaeLarge,
    MaeHuge,
    SimmimBase,
    BeitBase,
}

impl Tuning {
    /// The numbers for an encoder of `parameters` numbers and `images` labelled images.
    pub(crate) fn of(&self, parameters: usize, images: usize) -> FineTuning {
        // A small encoder's.
        let small = FineTuning::fitting(0, images).recipe.epochs;
        let mut tuning = match self.recipe {
            None => FineTuning::fitting(parameters, images),
            Some(TuningRecipe::SmallImages) => {
                FineTuning::small_images(self.epochs.unwrap_or(small))
            }
            Some(TuningRecipe::MaeBase) => FineTuning::mae_base(),
            Some(TuningRecipe::MaeLarge) => FineTuning::mae_large(),
            Some(TuningRecipe::MaeHuge) => FineTuning::mae_huge(),
            Some(TuningRecipe::SimmimBase) => FineTuning::simmim_base(),
            Some(TuningRecipe::BeitBase) => FineTuning::beit_base(),
        };
        tuning.recipe = match self.epochs {
            // The warm-up keeps its share.
            Some(epochs) if self.recipe.is_none() => {
                let share = tuning.recipe.warmup_epochs / tuning.recipe.epochs as f64;
                tuning.recipe.with_epochs(epochs).with_warmup_epochs(share * epochs as f64)
            }
            Some(epochs) => tuning.recipe.with_epochs(epochs),
            None => tuning.recipe,
        };
        tuning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_fits_unless_one_is_named_and_epochs_may_be_others() {
        let fitting = Tuning { recipe: None, epochs: None };
        assert_eq!(fitting.of(1_000_000, 600), FineTuning::fitting(1_000_000, 600));
        let shorter = Tuning { epochs: Some(5), ..fitting }.of(1_000_000, 600).recipe;
        assert_eq!((shorter.epochs, shorter.warmup_epochs), (5, 0.5));
        let paper = Tuning { recipe: Some(TuningRecipe::MaeBase), epochs: None };
        assert_eq!(paper.of(1_000_000, 600), FineTuning::mae_base());
        let small = Tuning { recipe: Some(TuningRecipe::SmallImages), epochs: Some(4) };
        assert_eq!(small.of(86_000_000, 600), FineTuning::small_images(4));
    }
}
