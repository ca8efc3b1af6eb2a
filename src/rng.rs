//! Portable random streams: the same key gives the same bits on every machine and thread.

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// The use of a stream, so that two uses of the same sample never share random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// The order of an epoch's samples.
    Order = 0,
    /// Crops, flips and colors.
    Augmentation = 1,
    /// Which patches are hidden.
    Mask = 2,
    /// A procedural image, or a split of a data set.
    Data = 3,
    /// Initial weights.
    Weights = 4,
    /// What a step draws on the device (drop path).
    Device = 5,
    /// The relaxed choice of tokens (Gumbel noise).
    Tokens = 6,
    /// How the images of a batch are mixed with each other.
    Mix = 7,
    /// Which samples of a data set are used.
    Subset = 8,
    /// The samples of a generative model.
    Sampling = 9,
    /// The corruption of a batch of images.
    Corruption = 10,
    /// How much is hidden of a batch of images.
    BatchMask = 11,
    /// The second view of a sample: its crop, its colors, and what is hidden of it.
    SecondView = 12,
    /// Which of the hidden patches are predicted.
    Asked = 13,
    /// What is hidden of the second view of a sample, where the view itself has its own stream.
    SecondMask = 14,
    /// Which of the hidden patches of a second view are predicted.
    SecondAsked = 15,
    /// The directions that the embeddings of a batch are projected on.
    Directions = 16,
}

/// The stream of (`seed`, `purpose`, `epoch`, `index`).
///
/// The four numbers are the ChaCha key itself, so no two keys share a stream and nothing has to
/// be drawn in any particular order.
pub fn stream(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |s, p, e, i| stream(s, p, e, i).next_u64();
        let base = first(1, Purpose::Mask, 2, 3);
        assert_eq!(base, first(1, Purpose::Mask, 2, 3));
        assert_ne!(base, first(9, Purpose::Mask, 2, 3));
        assert_ne!(base, first(1, Purpose::Order, 2, 3));
        assert_ne!(base, first(1, Purpose::Mask, 9, 3));
        assert_ne!(base, first(1, Purpose::Mask, 2, 9));
    }
}
