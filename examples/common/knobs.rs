//! What may be changed of a method's network and recipe; every example flattens what acts in it.
//!
//! (Structs have no doc comments: clap would take them for what a command does.)
#![allow(dead_code, reason = "each example uses its own part")]

use burn_mim::cli::numbers::{positive, rate, share};
use burn_mim::encoder::GptConfig;
use burn_mim::train::Recipe;
use burn_mim::{Error, Grid, MaskConfig, Result, SwinConfig, VitConfig};
use clap::Args;

/// Tokens of an image that a laptop's processor still trains on.
const MANY_TOKENS: usize = 1024;

/// Tokens of an image whose attention no machine holds.
const TOO_MANY_TOKENS: usize = 1 << 16;

/// What makes the tokens of an image fewer.
const FEWER: &str = "--patch-size 16 or a smaller --image-size makes them fewer";

// The learning rate.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Rate {
    /// Base learning rate: the peak is this times the batch size over the recipe's [default: the
    /// example's]
    #[arg(long, value_parser = rate)]
    lr: Option<f64>,
}

impl Rate {
    /// `recipe` with the rate that was asked for, or `default`.
    pub(crate) fn of(&self, recipe: Recipe, default: f64) -> Recipe {
        recipe.with_base_lr(self.lr.unwrap_or(default))
    }

    /// Whether it was given.
    pub(crate) fn is_given(&self) -> bool {
        self.lr.is_some()
    }
}

// The mask.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Masking {
    /// Share of the patches that is hidden [default: the method's]
    #[arg(long, value_parser = share)]
    mask_ratio: Option<f64>,
}

impl Masking {
    /// `mask` with the ratio that was asked for.
    pub(crate) fn of(&self, mask: MaskConfig) -> Result<MaskConfig> {
        match self.mask_ratio {
            Some(ratio) => mask.with_ratio(ratio),
            None => Ok(mask),
        }
    }
}

// The cut into patches.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Patches {
    /// Side of a patch in pixels [default: 4; 2 of Swin; a quarter of the image of Selfie]
    #[arg(long, value_parser = positive)]
    patch_size: Option<usize>,
}

impl Patches {
    /// The side that was asked for, or `default`.
    pub(crate) fn side(&self, default: usize) -> usize {
        self.patch_size.unwrap_or(default)
    }

    /// `vit` on patches of the side that was asked for.
    pub(crate) fn vit(&self, vit: VitConfig) -> Result<VitConfig> {
        let patch = self.side(vit.patch);
        check_tokens(vit.image.grid(patch)?, FEWER)?;
        Ok(VitConfig { patch, ..vit })
    }

    /// As [`Self::vit`].
    pub(crate) fn swin(&self, swin: SwinConfig) -> Result<SwinConfig> {
        let patch = self.side(swin.patch);
        check_tokens(swin.image.grid(patch)?, FEWER)?;
        Ok(SwinConfig { patch, ..swin })
    }
}

// The size of a transformer.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Sizes {
    /// Features per token, in the first stage of Swin [default: the example's]
    #[arg(long, value_parser = positive)]
    width: Option<usize>,
    /// Blocks, not of Swin [default: the example's]
    #[arg(long, value_parser = positive)]
    depth: Option<usize>,
}

impl Sizes {
    /// `vit` of the size that was asked for; its heads keep their width as far as they can.
    pub(crate) fn vit(&self, vit: VitConfig) -> VitConfig {
        let (width, depth) = (self.width.unwrap_or(vit.width), self.depth.unwrap_or(vit.depth));
        let heads = heads(width, vit.width / vit.heads);
        VitConfig { width, depth, heads, ..vit }
    }

    /// As [`Self::vit`].
    pub(crate) fn gpt(&self, gpt: GptConfig) -> Result<GptConfig> {
        check_tokens(gpt.grid(), "a smaller --image-size makes them fewer")?;
        let (width, depth) = (self.width.unwrap_or(gpt.width), self.depth.unwrap_or(gpt.depth));
        let heads = heads(width, gpt.width / gpt.heads);
        Ok(GptConfig { width, depth, heads, ..gpt })
    }

    /// As [`Self::vit`]; each stage is twice as wide as the one before.
    pub(crate) fn swin(&self, swin: SwinConfig) -> Result<SwinConfig> {
        if self.depth.is_some() {
            let fault = "--depth is for --encoder vit: Swin has a depth for each stage";
            return Err(Error::Config(fault.into()));
        }
        let width = self.width.unwrap_or(swin.width);
        let first = heads(width, swin.width / swin.heads[0]);
        let heads = (0..swin.heads.len()).map(|stage| first << stage).collect();
        Ok(SwinConfig { width, heads, ..swin })
    }
}

/// As many heads of about `each` features as divide `width`.
fn heads(width: usize, each: usize) -> usize {
    let most = (width / each.max(1)).max(1);
    (1..=most).rev().find(|&heads| width.is_multiple_of(heads)).unwrap_or(1)
}

/// Refuses images of more tokens than a machine holds, and warns of more than a laptop trains on;
/// `advice` says which flag makes them fewer.
pub(crate) fn check_tokens(grid: Grid, advice: &str) -> Result<()> {
    let tokens = grid.rows.saturating_mul(grid.cols);
    if tokens > TOO_MANY_TOKENS {
        return Err(Error::Config(format!(
            "{tokens} tokens an image ({grid}) are more than {TOO_MANY_TOKENS}: {advice}"
        )));
    }
    if tokens > MANY_TOKENS {
        super::say(format_args!(
            "warning: {tokens} tokens an image ({grid}): a step costs memory and time by their \
             square; {advice}"
        ));
    }
    Ok(())
}
