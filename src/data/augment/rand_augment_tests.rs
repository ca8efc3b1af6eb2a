//! Operations against Pillow's, of `tests/parity/rand_augment.py`.

use safetensors::SafeTensors;

use super::*;

#[test]
fn operations_match_pillow() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/rand_augment.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let by = |geometry| {
        [Interpolation::Bilinear, Interpolation::Bicubic].map(|f| Operation::Move(geometry, f))
    };
    let mut cases = vec![
        ("auto_contrast", Operation::AutoContrast),
        ("equalize", Operation::Equalize),
        ("invert", Operation::Invert),
        ("posterize_1", Operation::Posterize(1)),
        ("solarize", Operation::Solarize(26)),
        ("solarize_add", Operation::SolarizeAdd(99)),
        ("color", Operation::Color(1.81)),
        ("contrast", Operation::Contrast(0.19)),
        ("brightness", Operation::Brightness(1.81)),
        ("sharpness_less", Operation::Sharpness(0.19)),
        ("sharpness_more", Operation::Sharpness(1.81)),
    ];
    for (names, geometry) in [
        (["rotate_bilinear", "rotate_bicubic"], Geometry::Rotate(27.0)),
        (["shear_x_bilinear", "shear_x_bicubic"], Geometry::ShearX(0.27)),
        (["shear_y_bilinear", "shear_y_bicubic"], Geometry::ShearY(-0.27)),
        (["translate_x_bilinear", "translate_x_bicubic"], Geometry::TranslateX(0.405)),
        (["translate_y_bilinear", "translate_y_bicubic"], Geometry::TranslateY(-0.405)),
    ] {
        cases.extend(names.into_iter().zip(by(geometry)));
    }
    for (mode, channels) in [("rgb", 3), ("gray", 1)] {
        let tensor = |name: &str| file.tensor(&format!("{mode}.{name}")).unwrap();
        let width = tensor("image").shape()[2];
        for (name, operation) in &cases {
            let mut got = tensor("image").data().to_vec();
            operation.apply(&mut got, channels, width, [124, 116, 104]);
            assert!(got == tensor(name).data(), "{mode} {name}");
        }
    }
}
