//! The kernels on flex's tensors.

mod adamw;
mod attention;
mod buffer;
mod gelu;
mod layer_norm;
mod linear;
mod matrix;
mod mlp;
mod simd;
mod tiles;
mod weight_gradient;

pub(super) use adamw::AdamWKernel;
pub(super) use attention::AttentionKernel;
pub(super) use layer_norm::LayerNormKernel;
pub(super) use linear::LinearKernel;
pub(super) use mlp::MlpKernel;
