//! A masked hierarchy, whose queries are the largest of several.

use burn::tensor::FloatDType;
use burn_mim::{DecoderConfig, HieraConfig, HieraMaeConfig};

use crate::common::{masked, noise, weights};
use crate::{IMAGE, check};

#[test]
fn gradients_of_a_masked_hiera_are_those_of_its_loss() {
    // 2×3 mask units of 2×2 tokens of 2 pixels; a cell is a unit where the second stage pools.
    for (pools, unit_attention) in [(1, [true, false]), (0, [true, true])] {
        let encoder = HieraConfig::new(IMAGE, 4, vec![1, 2], vec![1, 2], unit_attention.into())
            .with_patch_kernel([3, 3])
            .with_patch_stride([2, 2])
            .with_patch_padding([1, 1])
            .with_unit([2, 2])
            .with_pools(pools);
        let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
        let config = HieraMaeConfig::new(encoder).with_decoder(decoder);
        let images = noise(IMAGE, 2).cast(FloatDType::F64);
        let batch = masked(images, &config.mask().unwrap());
        let fixed = check(config.init(&mut weights(3)), &batch);
        assert!(fixed.is_empty(), "{fixed:?}");
    }
}
