//! Fused kernels for training on the CPU, each beside the plain composition it equals.
//!
//! burn differentiates what is composed of its operations, one recorded step each, and its CPU
//! backend flex runs most of these steps on one thread, each through memory. The operations that
//! take most of a transformer's time are fused here, each with a hand-written backward pass:
//! [`linear()`], [`mlp()`], [`layer_norm()`] and [`attention()`], and of a ConvNeXt V2's [`depthwise()`]
//! and [`gelu_response_norm()`], of residual networks [`conv2d()`], [`group_norm()`] and
//! [`batch_norm()`]. Without a backward pass are [`adamw()`], which updates parameters in place,
//! [`orthogonalize()`], of which Muon's steps are made, and [`direction_histograms()`], of which the
//! targets of HOG are, and [`byte_images()`].
//!
//! They run on flex, on `f32`, with the feature `flex`. Everywhere else the same functions compute
//! the compositions, so callers need not distinguish the two. `BURN_MIM_KERNELS=off` in the
//! environment turns them off, for comparing the two.
//!
//! Sums over all rows are split in the same way for any number of threads, so results have the same
//! bits for every `RAYON_NUM_THREADS`. They depend on the processor: processors with AVX2 and FMA
//! round a product and its sum once, other x86-64 processors twice.

mod adamw;
mod attention;
#[cfg(all(test, feature = "flex"))]
mod attention_mask_tests;
mod batch_norm;
mod byte_images;
#[cfg(test)]
mod compare;
mod conv;
mod cross_entropy;
mod depthwise;
#[cfg(feature = "flex")]
mod flex;
mod gelu;
mod group_norm;
mod histogram;
mod layer_norm;
mod linear;
mod map_norm;
mod mlp;
mod orthogonalize;
mod resize;
mod response_norm;
mod softmax;

pub use adamw::{AdamWStep, adamw, adamw_composed};
pub use attention::{attend, attention, attention_composed, split_heads};
pub use batch_norm::{batch_norm, batch_norm_composed};
pub use byte_images::{byte_images, byte_images_composed};
pub use conv::{conv_transpose2d, conv_transpose2d_composed, conv2d, conv2d_composed};
pub use cross_entropy::{cross_entropy, cross_entropy_composed};
pub use depthwise::{depthwise, depthwise_composed};
pub use gelu::gelu;
pub use group_norm::{group_norm, group_norm_composed};
pub use histogram::{direction_histograms, direction_histograms_composed};
pub use layer_norm::{
    layer_norm, layer_norm_composed, root_mean_square_norm, root_mean_square_norm_composed,
};
pub use linear::{linear, linear_composed};
pub use mlp::{Activation, mlp, mlp_composed};
pub use orthogonalize::{orthogonalize, orthogonalize_composed};
pub use resize::{doubled, doubled_composed, halved, halved_composed};
pub use response_norm::{gelu_response_norm, gelu_response_norm_composed};
pub use softmax::{log_softmax, softmax};

/// Whether the kernel is used, given that all its tensors fit. Tests count how often it is.
#[cfg(feature = "flex")]
fn takes(fit: bool) -> bool {
    #[cfg(test)]
    compare::TAKEN.with(|taken| taken.set(taken.get() + usize::from(fit)));
    fit
}

/// The number of kernels that were used on this thread so far.
#[cfg(all(test, feature = "flex"))]
pub(crate) fn taken() -> usize {
    compare::TAKEN.with(std::cell::Cell::get)
}

/// Whether a tensor of rank `D` can go into a kernel: it is on flex, of `f32`, and not empty.
#[cfg(feature = "flex")]
fn fits<const D: usize>(tensor: &burn::tensor::Tensor<D>) -> bool {
    use burn::tensor::{DType, Device};

    enabled()
        && tensor.dtype() == DType::F32
        && tensor.device() == Device::flex()
        && !tensor.dims().contains(&0)
}

/// Zeros beside `tensor` that no gradient reaches, of the kernels' type whatever the device's own is.
#[cfg(feature = "flex")]
fn zeros_beside<const A: usize, const D: usize>(
    tensor: &burn::tensor::Tensor<D>,
    shape: [usize; A],
) -> burn::tensor::Tensor<A> {
    let device = tensor.device().without_autodiff();
    burn::tensor::Tensor::zeros(shape, (&device, burn::tensor::DType::F32))
}

/// Whether the environment variable leaves the kernels on.
#[cfg(feature = "flex")]
pub(crate) fn enabled() -> bool {
    use std::sync::OnceLock;

    static ENABLED: OnceLock<bool> = OnceLock::new();
    *ENABLED.get_or_init(|| std::env::var_os("BURN_MIM_KERNELS").is_none_or(|value| value != "off"))
}
