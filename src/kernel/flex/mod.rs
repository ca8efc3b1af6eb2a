//! The kernels on flex's tensors.

mod buffer;
mod linear;
mod matrix;
mod simd;
mod tiles;

pub(super) use linear::LinearKernel;
