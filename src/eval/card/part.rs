//! Parts of an HTML page.

use crate::error::Result;
use crate::viz::Picture;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `text` with all characters escaped that HTML would read as markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A PNG file as an image within the page.
pub(super) fn png(bytes: &[u8], description: &str) -> String {
    format!(r#"<img src="data:image/png;base64,{}" alt="{}">"#, base64(bytes), escape(description))
}

/// A picture as an image within the page.
pub(super) fn picture(picture: &Picture, description: &str) -> Result<String> {
    Ok(png(&picture.to_png()?, description))
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = BASE64[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(cases.map(|text| base64(text.as_bytes())), expected);
        assert_eq!(base64(&[251, 255]), "+/8=");
    }

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape(r#"<b>"R&D"</b>"#), "&lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt;");
    }
}
