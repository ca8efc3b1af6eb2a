//! The kernels on flex's tensors.

mod adamw;
mod attention;
mod buffer;
mod depthwise;
mod gelu;
mod histogram;
mod layer_norm;
mod linear;
mod matrix;
mod mlp;
mod orthogonalize;
mod response_norm;
mod simd;
mod small_product;
mod tiles;
mod weight_gradient;

pub(super) use adamw::AdamWKernel;
pub(super) use attention::AttentionKernel;
pub(super) use depthwise::DepthwiseKernel;
pub(super) use histogram::HistogramKernel;
pub(super) use layer_norm::LayerNormKernel;
pub(super) use linear::LinearKernel;
pub(super) use mlp::MlpKernel;
pub(super) use orthogonalize::OrthogonalizeKernel;
pub(super) use response_norm::ResponseNormKernel;
