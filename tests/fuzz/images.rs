//! Image files, folders of them, IDX files and CIFAR's.

use std::io::{Cursor, Write};
use std::path::Path;

use burn_mim::Result;
use burn_mim::data::{DataOptions, DataSpec};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::campaign::{Seed, file, fuzz};

/// A picture with edges and colors.
pub(crate) fn picture() -> DynamicImage {
    let pixel = |x, y| Rgb([(x * 9) as u8, (y * 13) as u8, ((x ^ y) * 7) as u8]);
    RgbImage::from_fn(19, 17, pixel).into()
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The seed of a folder with `bytes` beside a good image.
fn beside_a_good_one(name: &str, bytes: Vec<u8>) -> Seed {
    let mut seed = file(name, bytes);
    seed.push(("good.png".into(), encoded(&picture(), ImageFormat::Png)));
    seed
}

pub(crate) fn opened(spec: String) -> Result<()> {
    let data = spec.parse::<DataSpec>()?.open(&DataOptions::default(), &mut |_| {})?;
    for split in [data.train, data.test] {
        for index in 0..split.len() {
            split.get(index).map_err(|error| burn_mim::Error::data("a sample", error))?;
        }
    }
    Ok(())
}

#[test]
fn damaged_images_are_refused_or_read() {
    let (color, gray) = (picture(), DynamicImage::from(picture().to_luma8()));
    let deep = DynamicImage::from(picture().to_rgb16());
    let alpha = DynamicImage::from(picture().to_rgba8());
    let seeds = [
        ("a.png", &color, ImageFormat::Png),
        ("b.png", &gray, ImageFormat::Png),
        ("c.png", &deep, ImageFormat::Png),
        ("d.png", &alpha, ImageFormat::Png),
        ("a.jpg", &color, ImageFormat::Jpeg),
        ("b.jpg", &gray, ImageFormat::Jpeg),
        ("a.gif", &alpha, ImageFormat::Gif),
        ("a.bmp", &color, ImageFormat::Bmp),
        ("a.tiff", &color, ImageFormat::Tiff),
        ("b.tiff", &deep, ImageFormat::Tiff),
        ("a.webp", &color, ImageFormat::WebP),
        ("b.webp", &alpha, ImageFormat::WebP),
        ("a.ppm", &color, ImageFormat::Pnm),
        ("a.pgm", &gray, ImageFormat::Pnm),
    ]
    .map(|(name, picture, format)| beside_a_good_one(name, encoded(picture, format)));
    let arrays = [("a.npy", "|u1", 1), ("b.npy", ">u2", 2), ("c.npy", "<f2", 2)];
    let arrays = arrays.map(|(name, kind, size)| beside_a_good_one(name, npy(kind, size)));
    let seeds = [&seeds[..], &arrays].concat();
    let damaged = |path: &Path| path != Path::new("good.png");
    fuzz("images", 60, &seeds, damaged, |folder| opened(format!("folder:{}", folder.display())));
}

/// An array of NumPy, `[6, 5, 3]`, of numbers of `size` bytes.
fn npy(kind: &str, size: usize) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (6, 5, 3), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let data: Vec<u8> = (0..90 * size).map(|at| (at % 50) as u8).collect();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &data].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn idx(gz: bool) -> Seed {
    let array = |kind: &[u8], sizes: &[u32], bytes: Vec<u8>| {
        let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
        let file: Vec<u8> =
            [0, 0].into_iter().chain(kind.to_vec()).chain(sizes).chain(bytes).collect();
        if gz { gzipped(&file) } else { file }
    };
    let images =
        |count: u32| array(&[8, 3], &[count, 5, 4], (0..count * 20).map(|i| i as u8).collect());
    let labels = |count: u32| array(&[8, 1], &[count], (0..count).map(|i| (i % 3) as u8).collect());
    let name = |split: &str, kind: &str| {
        let end = if gz { ".gz" } else { "" };
        format!("{split}-{kind}-ubyte{end}").into()
    };
    vec![
        (name("train", "images-idx3"), images(9)),
        (name("train", "labels-idx1"), labels(9)),
        (name("t10k", "images-idx3"), images(3)),
        (name("t10k", "labels-idx1"), labels(3)),
    ]
}

#[test]
fn damaged_idx_files_are_refused_or_read() {
    let any = |_: &Path| true;
    let seeds = [idx(false), idx(true)];
    fuzz("idx", 60, &seeds, any, |folder| opened(format!("idx:{}", folder.display())));
}

/// The files of CIFAR-10, with a few images each.
fn cifar_files() -> Vec<(String, Vec<u8>)> {
    let records = |seed: usize| -> Vec<u8> {
        (0..2 * 3073)
            .map(|i| if i % 3073 == 0 { (i + seed) as u8 % 10 } else { (i * seed) as u8 })
            .collect()
    };
    let train = (1..=5).map(|n| (format!("data_batch_{n}.bin"), records(n)));
    train.chain([("test_batch.bin".to_string(), records(7))]).collect()
}

fn cifar_archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in cifar_files() {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let path = format!("cifar-10-batches-bin/{name}");
        archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn damaged_cifar_files_are_refused_or_read() {
    let files: Seed = cifar_files().into_iter().map(|(name, bytes)| (name.into(), bytes)).collect();
    let any = |_: &Path| true;
    fuzz("cifar", 40, &[files], any, |folder| opened(format!("cifar10:{}", folder.display())));
}

#[test]
fn damaged_cifar_archives_are_refused_or_read() {
    let seeds = [file("cifar.tar.gz", gzipped(&cifar_archive()))];
    let read = |folder: &Path| opened(format!("cifar10:{}/cifar.tar.gz", folder.display()));
    fuzz("cifar-archive", 40, &seeds, |_| true, read);
    // Damage below the compression, which its checksum would not let through.
    let seeds = [file("cifar.tar", cifar_archive())];
    let read = |folder: &Path| {
        let tar = std::fs::read(folder.join("cifar.tar")).unwrap();
        std::fs::write(folder.join("cifar.tar.gz"), gzipped(&tar)).unwrap();
        opened(format!("cifar10:{}/cifar.tar.gz", folder.display()))
    };
    fuzz("cifar-tar", 40, &seeds, |_| true, read);
}
