//! The kernels on flex's tensors.

mod adamw;
mod attention;
mod buffer;
mod conv;
mod cross_entropy;
mod depthwise;
mod gelu;
mod group_norm;
mod histogram;
mod layer_norm;
mod linear;
mod matrix;
mod mlp;
mod orthogonalize;
mod resize;
mod response_norm;
mod simd;
mod small_product;
mod softmax;
mod tiles;
mod weight_gradient;

pub(super) use adamw::AdamWKernel;
pub(super) use attention::AttentionKernel;
pub(super) use conv::ConvKernel;
pub(super) use cross_entropy::CrossEntropyKernel;
pub(super) use depthwise::DepthwiseKernel;
pub(super) use group_norm::GroupNormKernel;
pub(super) use histogram::HistogramKernel;
pub(super) use layer_norm::LayerNormKernel;
pub(super) use linear::LinearKernel;
pub(super) use mlp::MlpKernel;
pub(super) use orthogonalize::OrthogonalizeKernel;
pub(super) use resize::ResizeKernel;
pub(super) use response_norm::ResponseNormKernel;
pub(super) use softmax::SoftmaxKernel;
