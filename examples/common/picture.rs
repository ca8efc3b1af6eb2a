//! The files that `inpaint`, `denoise` and `edges` write.

use std::path::{Path, PathBuf};

use burn_mim::{Error, Result};

/// The picture of before and after that goes with `out`, `NAME_before_after.png` beside it.
///
/// # Errors
///
/// When `out` is named as something else than a PNG file, which it would not be.
pub(crate) fn beside(out: &Path) -> Result<PathBuf> {
    match out.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("png") => {}
        _ => return Err(Error::data(out, "pictures are written as PNG: name it .png")),
    }
    let mut name = out.file_stem().unwrap_or_default().to_os_string();
    name.push("_before_after.png");
    Ok(out.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_picture_is_named_after_the_first() {
        let of = |out: &str| beside(Path::new(out)).map(|path| path.display().to_string());
        assert_eq!(of("runs/a.png").unwrap(), "runs/a_before_after.png");
        assert_eq!(of("b.v2.PNG").unwrap(), "b.v2_before_after.png");
        for other in ["c.jpg", "c.xyz", "c", ".png"] {
            let message = of(other).unwrap_err().to_string();
            assert_eq!(message, format!("{other}: pictures are written as PNG: name it .png"));
        }
    }
}
