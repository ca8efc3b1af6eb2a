//! The papers' sizes of vision transformers.

use super::VitConfig;
use crate::grid::ImageShape;

/// ImageNet crops of 224 × 224 RGB, the papers' input.
const IMAGENET: ImageShape = ImageShape::square(3, 224);

impl VitConfig {
    /// ViT-Ti/16: 192 features, 12 blocks, 3 heads (DeiT, arXiv 2012.12877, Table 1).
    pub fn tiny_patch16() -> Self {
        Self::new(IMAGENET, 16, 192, 12, 3)
    }

    /// ViT-S/16: 384 features, 12 blocks, 6 heads (DeiT, Table 1).
    pub fn small_patch16() -> Self {
        Self::new(IMAGENET, 16, 384, 12, 6)
    }

    /// ViT-B/16: 768 features, 12 blocks, 12 heads (arXiv 2010.11929, Table 1).
    pub fn base_patch16() -> Self {
        Self::new(IMAGENET, 16, 768, 12, 12)
    }

    /// ViT-L/16: 1024 features, 24 blocks, 16 heads (arXiv 2010.11929, Table 1).
    pub fn large_patch16() -> Self {
        Self::new(IMAGENET, 16, 1024, 24, 16)
    }

    /// ViT-H/14: 1280 features, 32 blocks, 16 heads (arXiv 2010.11929, Table 1).
    pub fn huge_patch14() -> Self {
        Self::new(IMAGENET, 14, 1280, 32, 16)
    }
}
