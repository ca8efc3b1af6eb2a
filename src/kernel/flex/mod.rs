//! The kernels on flex's tensors.

mod buffer;
mod layer_norm;
mod linear;
mod matrix;
mod simd;
mod tiles;

pub(super) use layer_norm::LayerNormKernel;
pub(super) use linear::LinearKernel;
