//! The numbers of the reference implementations: transformers, timm, and the papers' formulas in
//! torch. `tests/parity/make_fixtures.py` makes what is compared with here.
//!
//! Activations agree to 1e-4 of the largest value, losses to 1e-5 of their own, gradients to 1e-3
//! of the largest: they are sums over many more terms.

mod beit;
mod convnext;
mod encoders;
mod hiera;
mod image_functions;
mod image_gpt;
mod io;
mod mim_targets;
mod operations;
mod parts;
mod resnet;
mod swin;
mod videomae;
mod vit;
