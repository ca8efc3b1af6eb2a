//! Histograms of gradients and image quality against scikit-image.

use burn::tensor::Tensor;
use burn_mim::HogTarget;
use burn_mim::image::{GradientOperator, psnr, ssim};

use crate::io::{Io, close, folder};

fn io() -> Io {
    Io::read(&folder("image_functions.safetensors"))
}

/// Histograms as `[channels, rows, cols, bins]`.
fn histograms(target: &HogTarget, images: Tensor<3>) -> Tensor<4> {
    let histograms = target.histograms(images.unsqueeze());
    let [_, _, rows, cols] = histograms.dims();
    histograms.reshape([target.channels, target.bins, rows, cols]).permute([0, 2, 3, 1])
}

#[test]
fn histograms_of_central_differences_are_scikit_images() {
    let io = io();
    for (bins, cell) in [(9, 8), (6, 4)] {
        let target = HogTarget { bins, ..HogTarget::maskfeat(2, 8, cell) }
            .with_operator(GradientOperator::Central);
        let key = format!("hog.scikit_image_{bins}_bins_cell_{cell}");
        close(&key, histograms(&target, io.tensor("hog.images")), &io.0[&key], 1e-5);
    }
}

#[test]
fn histograms_of_sobels_gradients_are_maskfeats() {
    let (io, target) = (io(), HogTarget::maskfeat(2, 8, 8));
    let images = || io.tensor("hog.images");
    close("maskfeat", histograms(&target, images()), &io.0["hog.maskfeat_cell_8"], 1e-5);
    let weighed = histograms(&target.with_window(Some(16)), images());
    close("with a window", weighed, &io.0["hog.maskfeat_cell_8_window_16"], 1e-5);
}

#[test]
fn psnr_and_ssim_are_scikit_images() {
    let io = io();
    let image = |name: &str| io.tensor::<3>(&format!("quality.{name}")).unsqueeze::<4>();
    let (noisy, reference) = (image("noisy"), image("reference"));
    close("psnr", psnr(noisy.clone(), reference.clone()), &io.0["quality.psnr"], 1e-5);
    close("ssim", ssim(noisy, reference), &io.0["quality.ssim"], 1e-5);
}
