//! Which numbers of fine-tuning fit an encoder and its labels.

use super::{FineTuning, Mixing, RandomErasing};

/// The parameters of a small encoder, at most.
const SMALL: usize = 15_000_000;

/// Below so many labelled images they are few: nothing is mixed or erased.
const FEW: usize = 10_000;

/// Below so many they are very few.
const VERY_FEW: usize = 1000;

/// The images, with repetitions, that fine-tuning shows to a small encoder.
const SHOWN: usize = 60_000;

impl FineTuning {
    /// The numbers for an encoder of `parameters` numbers and `images` labelled images.
    ///
    /// The size chooses the preset: [`small_images`](Self::small_images) up to 15 million parameters,
    /// [`mae_base`](Self::mae_base) up to 150, [`mae_large`](Self::mae_large) up to 400, and
    /// [`mae_huge`](Self::mae_huge) above. The labels choose the rest, by a rule of ours, since the
    /// papers fine-tune on a million images:
    ///
    /// - Below 10 000 images nothing is mixed or erased.
    /// - Small encoders: the epochs are as many as show 60 000 images, at least 3 and at most 200;
    ///   below 10 000 images the learning rate decays by 0.65 a layer in place of 0.75.
    /// - Larger encoders: twice the paper's epochs below 10 000 images, four times as many below 1000.
    pub fn fitting(parameters: usize, images: usize) -> Self {
        let mut tuning = if parameters <= SMALL {
            Self::small_images(SHOWN.div_ceil(images.max(1)).clamp(3, 200))
        } else if parameters <= 150_000_000 {
            Self::mae_base().longer(images)
        } else if parameters <= 400_000_000 {
            Self::mae_large().longer(images)
        } else {
            Self::mae_huge().longer(images)
        };
        if images < FEW {
            (tuning.erasing, tuning.mixing) = (RandomErasing::none(), Mixing::none());
            if parameters <= SMALL {
                tuning.recipe.layer_decay = 0.65;
            }
        }
        tuning
    }

    /// More epochs for fewer images.
    fn longer(self, images: usize) -> Self {
        let times = match images {
            ..VERY_FEW => 4,
            VERY_FEW..FEW => 2,
            _ => 1,
        };
        let epochs = times * self.recipe.epochs;
        Self { recipe: self.recipe.with_epochs(epochs), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_encoders_see_as_many_images_and_within_bounds() {
        let epochs = |images| FineTuning::fitting(1_200_000, images).recipe.epochs;
        assert_eq!([60, 600, 6000, 20_000, 60_000].map(epochs), [200, 100, 10, 3, 3]);
        assert_eq!(epochs(0), 200);
        for images in [1, 60, 600, 60_000] {
            FineTuning::fitting(1_200_000, images).validate().unwrap();
        }
    }

    #[test]
    fn with_enough_labels_larger_encoders_have_the_papers_numbers() {
        for (million, paper) in [
            (86, FineTuning::mae_base()),
            (304, FineTuning::mae_large()),
            (632, FineTuning::mae_huge()),
        ] {
            assert_eq!(FineTuning::fitting(million * 1_000_000, 1_281_167), paper);
        }
    }

    #[test]
    fn few_labels_are_learned_from_for_longer_and_neither_mixed_nor_erased() {
        for parameters in [1_200_000, 86_000_000, 632_000_000] {
            let [few, many] = [5000, 50_000].map(|images| FineTuning::fitting(parameters, images));
            assert!(few.recipe.epochs > many.recipe.epochs, "{parameters}");
            assert_eq!((few.mixing, few.erasing), (Mixing::none(), RandomErasing::none()));
            assert!(few.recipe.layer_decay <= 0.75, "{parameters}");
        }
        let base = |images| FineTuning::fitting(86_000_000, images).recipe.epochs;
        assert_eq!([500, 5000, 50_000].map(base), [400, 200, 100]);
    }
}
